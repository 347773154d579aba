"""Rotation-equivariant networks: exact where they say so, at any size, and honest elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import vos
from vos.backbones import Backbone
from vos.errors import UsageError

SPECS = [
    "rotation-unet-c4",
    "rotation-unet-c8",
    "rotation-unet-d4",
    "rotation-resnet18-c8,width=16",
    "rotation-unet-c4,stride=1,levels=2,width=8,border=replicate",
    "rotation-unet-c8,output=regular,features=2,stride=8",
    "rotation-unet-d4,output=regular,features=2,border=circular",
    "rotation-resnet18-c8,width=8,layer=4,stride=8,features=3,output=regular",
]
# Odd, even, and neither a multiple of any stride.
SIZES = [(32, 32), (21, 21), (17, 26), (3, 2)]


@pytest.mark.parametrize("spec", SPECS)
def test_quarter_turns_and_mirror_images_are_exact(
    spec: str, lived_in: Callable[[str], Backbone]
) -> None:
    backbone = lived_in(spec)
    group = backbone.fields.group
    assert backbone.equivariance.exact == group.on_grid
    for size in SIZES:
        images = torch.rand(1, 3, *size)
        with torch.inference_mode():
            features = backbone(images)
            for element in range(group.order):
                if 4 * (element % group.rotations) % group.rotations:
                    continue
                turned = backbone(group.act_on_grid(images, element))
                expected = backbone.fields.act(features, element)
                difference = (turned - expected).abs().max() / expected.abs().max()
                assert difference < 1e-5, (size, element)


def test_the_twin_without_turns_does_not_commute() -> None:
    backbone = vos.load("rotation-unet-c1")
    images = torch.rand(1, 3, 48, 48)
    with torch.inference_mode():
        features, turned = backbone(images), backbone(torch.rot90(images, 1, (-2, -1)))
    expected = torch.rot90(features, 1, (-2, -1))
    assert (turned - expected).square().sum() > 0.01 * expected.square().sum()
    assert "translation" in backbone.equivariance.group


def test_a_torus_keeps_rolls_exactly() -> None:
    backbone = vos.load("rotation-unet-c4,border=circular,levels=3")
    images = torch.rand(1, 3, 64, 48)
    with torch.inference_mode():
        features = backbone(images)
        rolled = backbone(images.roll((8, -16), dims=(-2, -1)))
    torch.testing.assert_close(rolled, features.roll((2, -4), dims=(-2, -1)), rtol=0, atol=1e-5)
    assert "cyclic shifts by multiples of 8 pixels" in backbone.equivariance.depends_on


def test_a_field_costs_the_weights_of_one_pose() -> None:
    """With as many channels, C4 has a quarter of the weights of its twin without turns."""
    plain, turning = vos.load("rotation-unet-c1"), vos.load("rotation-unet-c4")
    weights = [sum(p.numel() for p in net.parameters()) for net in (plain, turning)]
    assert weights[1] / weights[0] == pytest.approx(1 / 4, rel=0.02)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("rotation-unet-c8,width=12", "a width must be a multiple of 8, got 12"),
        ("rotation-unet-c4,stride=32", "stride 1, 2, 4, ... or 16, got 32"),
        ("rotation-unet-c4,levels=0", "1 to 8 levels"),
        ("rotation-unet-c4,output=invariants", "known: invariant, regular"),
        ("rotation-unet-c4,features=0", "features must be at least 1"),
        ("rotation-unet-c4,border=zero", "did you mean zeros"),
        ("rotation-unet-c16", "did you mean rotation-unet-c1"),
        ("rotation-resnet18-c8,layer=1", "layer 1 has stride 4 at most, not 8"),
        ("rotation-resnet18-c8,stride=2", "stride 4, 8, 16 or 32"),
    ],
)
def test_mistakes_get_one_line(spec: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        vos.load(spec)
    assert words in str(caught.value)
