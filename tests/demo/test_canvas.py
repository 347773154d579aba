"""Masks go to the editor and come back to the pixel, whatever the size of the video."""

from __future__ import annotations

import numpy as np
import pytest

from vos.demo import canvas
from vos.demo.objects import ObjectList


@pytest.fixture
def objects() -> ObjectList:
    objects = ObjectList()
    for object_id in (1, 2, 7):
        objects.add(object_id)
    return objects


SIZES = [(180, 320), (1080, 1920), (1920, 1080), (481, 855), (601, 1001), (37, 5000), (2, 3)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_what_is_not_touched_comes_back_to_the_pixel(objects, size):
    mask = np.random.default_rng(0).choice(np.array([0, 1, 2, 7], np.uint8), size)
    layer = canvas.to_layer(canvas.shown_mask(mask), objects)
    assert max(layer.shape[:2]) <= canvas.EDITOR_SIDE
    painted = canvas.painted_mask({"layers": [layer]}, size, objects)
    np.testing.assert_array_equal(canvas.merge(mask, painted), mask)


@pytest.mark.parametrize("size", SIZES[:5], ids=str)
def test_a_stroke_changes_its_own_pixels_only(objects, size):
    mask = np.random.default_rng(0).choice(np.array([0, 1, 2], np.uint8), size)
    painted = canvas.shown_mask(mask).copy()
    height, width = painted.shape
    rows, columns = slice(height // 4, height // 2), slice(width // 4, width // 2)
    painted[rows, columns] = 7
    merged = canvas.merge(mask, painted)
    region = np.zeros(painted.shape, bool)
    region[rows, columns] = True
    inside = canvas.enlarge(region, size)
    assert (merged[inside] == 7).all()
    np.testing.assert_array_equal(merged[~inside], mask[~inside])


def test_the_shown_mask_takes_each_cell_from_its_own_pixels():
    for length in range(1, 60):
        for cells in range(1, length + 1):
            centres = canvas._centres(length, cells)
            np.testing.assert_array_equal(centres * cells // length, np.arange(cells))


def test_soft_edges_take_the_nearest_colour(objects):
    layer = canvas.to_layer(np.array([[1, 2], [7, 0]], np.uint8), objects)
    layer[..., :3] = np.clip(layer[..., :3].astype(int) + 9, 0, 255)
    layer[0, 1, 3] = 100  # more than half transparent: not painted
    np.testing.assert_array_equal(canvas.from_layers([layer], objects), [[1, 0], [7, 0]])


def test_later_layers_lie_in_front(objects):
    below = canvas.to_layer(np.array([[1, 1, 0]], np.uint8), objects)
    above = canvas.to_layer(np.array([[0, 2, 2]], np.uint8), objects)
    np.testing.assert_array_equal(canvas.from_layers([below, above], objects), [[1, 2, 2]])


def test_an_empty_editor_says_nothing(objects):
    for value in (None, {}, {"layers": []}, {"layers": [None]}):
        assert canvas.painted_mask(value, (10, 10), objects) is None
