"""Masks whose borders follow the frame."""

import dataclasses

import numpy as np
import pytest
import torch

from vos.errors import UsageError
from vos.propagation import PropagationConfig, Propagator, preset
from vos.propagation.guided import RADII, RIDGE, guided_mask, label_functions
from vos.propagation.labels import mask_to_labels

BILINEAR = PropagationConfig()


def picture(mask: np.ndarray, noise: float = 4.0) -> np.ndarray:
    """A frame in which each object has a colour of its own, a little noisy."""
    colours = np.random.default_rng(0).uniform(30, 220, (256, 3))
    colours[0] = (120, 120, 120)
    noisy = colours[mask] + np.random.default_rng(1).normal(0, noise, (*mask.shape, 3))
    return noisy.clip(0, 255).astype(np.uint8)


def overlap(one: np.ndarray, two: np.ndarray) -> float:
    return (one & two).sum() / (one | two).sum()


def disc(size: tuple[int, int], centre: tuple[float, float], radius: float) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]]
    return np.hypot(y - centre[0], x - centre[1]) < radius


def test_functions_are_the_least_squares_fit_of_labels_to_colours():
    random = np.random.default_rng(3)
    grid = (12, 15)
    frame = random.integers(0, 256, (*grid, 3), dtype=np.uint8)  # one pixel a token
    plane = random.random(grid)
    found = label_functions(plane[..., None].astype(np.float32), frame)[:, 0]

    def fit(y: int, x: int, radius: int) -> np.ndarray:
        window = np.s_[y - radius : y + radius + 1, x - radius : x + radius + 1]
        colours = frame[window].reshape(-1, 3) / 255.0
        known = np.c_[colours, np.ones(len(colours))]
        ridge = np.diag([len(colours) * RIDGE] * 3 + [0])
        return np.linalg.solve(known.T @ known + ridge, known.T @ plane[window].ravel())

    def average_fit(y: int, x: int, radius: int) -> np.ndarray:
        reach = range(-radius, radius + 1)
        fits = [fit(y + dy, x + dx, radius) for dy in reach for dx in reach]
        return np.mean(fits, axis=0)

    expected = np.mean([average_fit(6, 7, radius) for radius in RADII], axis=0)
    np.testing.assert_allclose(found[6 * grid[1] + 7], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("size", [(96, 128), (101, 135)])
def test_borders_are_those_of_the_frame(size):
    mask = np.uint8(5) * disc(size, (50, 61), 23.3) + np.uint8(9) * disc(size, (50, 110), 12.6)
    grid = (-(-size[0] // 8), -(-size[1] // 8))
    labels = mask_to_labels(mask, (5, 9), grid, BILINEAR)
    frame = picture(mask)
    found = guided_mask(labels, (5, 9), grid, frame)
    assert found.dtype == np.uint8
    assert set(np.unique(found)) == {0, 5, 9}
    engine = Propagator(BILINEAR)._engine(labels)
    plain = engine.labels_to_mask(labels, (5, 9), grid, size, size, BILINEAR)
    for object_id in (5, 9):
        ours = overlap(found == object_id, mask == object_id)
        assert ours > 0.97
        assert ours > overlap(plain == object_id, mask == object_id)


def test_many_objects_cost_no_plane_each_and_stay_apart():
    mask = np.kron(np.arange(1, 51).reshape(5, 10), np.ones((24, 24))).astype(np.uint8)
    ids = tuple(range(1, 51))
    labels = mask_to_labels(mask, ids, (15, 30), BILINEAR)
    assert (guided_mask(labels, ids, (15, 30), picture(mask)) == mask).mean() > 0.99


def test_objects_that_touch_leave_no_gap():
    """Where four meet none has half of a pixel: the strongest counts, against the background's."""
    mask = np.kron([[1, 2], [3, 4]], np.ones((40, 48))).astype(np.uint8)
    labels = mask_to_labels(mask, (1, 2, 3, 4), (10, 12), BILINEAR)
    plain = np.full((*mask.shape, 3), 128, np.uint8)  # colours tell nothing
    found = guided_mask(labels, (1, 2, 3, 4), (10, 12), plain)
    assert (found > 0).all()
    assert (found == mask).mean() > 0.99


def test_labels_that_are_alike_stay_whatever_the_colours():
    frame = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    everywhere = torch.tensor([[0.0, 1.0]]).expand(80, 2)
    assert (guided_mask(everywhere, (3,), (8, 10), frame) == 3).all()
    assert not guided_mask(everywhere.flip(1), (3,), (8, 10), frame).any()
    assert (guided_mask(everywhere[:1], (3,), (1, 1), frame) == 3).all()


def test_without_a_frame_labels_are_enlarged_bilinearly():
    mask = disc((64, 80), (30, 40), 15).astype(np.uint8)
    features = torch.randn(16, 8, 10, generator=torch.Generator().manual_seed(0))
    guided = Propagator(preset("default"))
    plain = Propagator(dataclasses.replace(preset("default"), grid_to_mask="bilinear"))
    found = guided.annotate(0, features, mask).mask(mask.shape)
    np.testing.assert_array_equal(found, plain.annotate(0, features, mask).mask(mask.shape))


def test_stretching_does_not_go_with_it():
    with pytest.raises(UsageError, match="min_max does not go with"):
        preset("default").with_settings({"min_max": "true"})
