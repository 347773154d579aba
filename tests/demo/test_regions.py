"""A box and a click find the object."""

from __future__ import annotations

import numpy as np
import pytest
from visitor import jaccard

from vos.demo.queue import Models
from vos.demo.regions import add_region, region_around, region_in_box, take_region
from vos.errors import UsageError
from vos.propagation import preset


@pytest.fixture
def scene():
    """A red disc and a blue one on green noise, odd in size, and the disc's mask."""
    generator = np.random.default_rng(0)
    frame = generator.normal((60, 150, 60), 12, (241, 403, 3))
    rows, columns = np.mgrid[:241, :403]
    red = (rows - 110) ** 2 + (columns - 150) ** 2 < 50**2
    blue = (rows - 110) ** 2 + (columns - 310) ** 2 < 30**2
    frame[red] = generator.normal((200, 50, 40), 12, (red.sum(), 3))
    frame[blue] = generator.normal((40, 50, 200), 12, (blue.sum(), 3))
    return frame.clip(0, 255).astype(np.uint8), red


@pytest.mark.parametrize("corners", [((90, 50), (210, 170)), ((210, 170), (90, 50))])
def test_box(scene, corners):
    frame, disc = scene
    assert jaccard(region_in_box(frame, *corners), disc) > 0.97


def test_click(scene):
    frame, disc = scene
    extractor = Models("cpu").get("lab")
    region = region_around(frame, (150, 110), extractor, preset("default"), similarity=0.8)
    assert region[110, 150] and jaccard(region, disc) > 0.75


@pytest.mark.parametrize("corner, opposite", [((5, 5), (6, 90)), ((0, 0), (403, 241))])
def test_boxes_that_make_no_sense(scene, corner, opposite):
    with pytest.raises(UsageError, match="box"):
        region_in_box(scene[0], corner, opposite)


def test_adding_and_taking_away():
    mask = np.array([[1, 2, 0, 0]], np.uint8)
    region = np.array([[True, True, True, False]])
    assert add_region(mask, region, 3).tolist() == [[3, 3, 3, 0]]
    assert take_region(mask, region, 2).tolist() == [[1, 0, 0, 0]]
