"""What the program of turns measures: known angles, known filters."""

from __future__ import annotations

import pytest
import torch
from rotation_story import FILTERS, angle_between, blur, errors, object_vectors, pictures

import vos


def test_angles_are_those_that_vectors_were_turned_by() -> None:
    vectors = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    turned = torch.stack([-vectors[:, 1], vectors[:, 0]], 1)
    assert angle_between(vectors, turned) == pytest.approx(90)


def test_filters_are_steadier_than_none() -> None:
    whole = pictures()[:1, :, :66, :66]
    found = {name: errors(blur(taps), whole, 2) for name, taps in FILTERS.items()}
    bare = found.pop("none (stride alone)")
    assert all(max(a / b for a, b in zip(each, bare, strict=True)) < 0.5 for each in found.values())


def test_an_object_that_turned_by_90_degrees_says_so() -> None:
    backbone = vos.load("rotation-unet-c4,output=vector,levels=2")
    with torch.inference_mode():
        still, turned = (object_vectors(backbone, angle) for angle in (0, 90))
    assert angle_between(still, turned) == pytest.approx(90, abs=1)
