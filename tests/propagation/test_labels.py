"""Masks to soft labels and back; the fast way decides like the plain one."""

import dataclasses

import numpy as np
import pytest
import torch

from vos.propagation import labels, preset
from vos.propagation.config import PropagationConfig
from vos.propagation.engines import cpu_masks

GRID = (9, 13)


def sparse_labels(channels, seed=0):
    """Soft labels of which each token holds one to three, as propagation gives them."""
    random = np.random.default_rng(seed)
    values = np.zeros((GRID[0] * GRID[1], channels), np.float32)
    for token in values:
        chosen = random.choice(channels, size=min(channels, random.integers(1, 4)), replace=False)
        token[chosen] = random.random(len(chosen))
    return torch.from_numpy(values / values.sum(1, keepdims=True))


@pytest.mark.parametrize(
    "how", ["bilinear", "bilinear-corners", "nearest", "bilinear-then-nearest"]
)
@pytest.mark.parametrize("min_max", [False, True])
@pytest.mark.parametrize("size", [(72, 104), (67, 99), (31, 200)])
@pytest.mark.parametrize("channels", [2, 8, 51])
def test_cpu_decides_like_the_reference(how, min_max, size, channels):
    config = PropagationConfig(grid_to_mask=how, min_max=min_max)
    ids = list(range(3, 3 + channels - 1))
    arguments = (sparse_labels(channels), ids, GRID, size, (72, 104), config)
    expected = labels.labels_to_mask(*arguments)
    found = cpu_masks.labels_to_mask(*arguments)
    differs = found != expected
    if how == "bilinear" and min_max and differs.any():  # stretched peaks of one shape may tie
        planes = labels.stretch(labels.enlarge(arguments[0], GRID, size, "bilinear"))[0]
        places = np.nonzero(differs)
        chosen = planes[np.searchsorted([0, *ids], found[places]), places[0], places[1]]
        best = planes.amax(0)[places]
        torch.testing.assert_close(chosen, best, atol=1e-5, rtol=0)
    elif not min_max:
        assert differs.mean() <= 0.0005  # rounding may turn a tie
    else:
        assert differs.mean() <= 0.02


@pytest.mark.parametrize("min_max", [False, True])
def test_background_alone_stays_background(min_max):
    config = PropagationConfig(min_max=min_max)
    values = torch.zeros(GRID[0] * GRID[1], 3)
    values[:, 0] = 1
    for decide in (labels.labels_to_mask, cpu_masks.labels_to_mask):
        assert not decide(values, [1, 2], GRID, (72, 104), (72, 104), config).any()


def test_round_trip_of_large_shapes():
    """A mask of tokens' size or larger survives the grid, whatever the protocol."""
    mask = np.zeros((72, 104), np.uint8)
    mask[16:48, 24:64] = 7
    for name in ("crw", "dino", "dul", "vfs"):
        config = preset(name)
        soft = labels.mask_to_labels(mask, [7], GRID, config)
        back = labels.labels_to_mask(soft, [7], GRID, mask.shape, mask.shape, config)
        assert (back == mask).mean() > 0.95


def test_bilinear_labels_are_shares():
    config = dataclasses.replace(preset("crw"))
    random = np.random.default_rng(0).integers(0, 4, (72, 104)).astype(np.uint8)
    soft = labels.mask_to_labels(random, [1, 2, 3], GRID, config)
    torch.testing.assert_close(soft.sum(1), torch.ones(len(soft)))


def test_sharpened_labels_sum_to_one_and_lose_what_is_faint():
    given = torch.tensor([[0.5, 0.3, 0.2], [0.95, 0.05, 0.0], [0.0, 1.0, 0.0]])
    sharp = labels.sharpen(given, 2.0)
    expected = torch.tensor([[0.25, 0.09, 0.04], [0.9025, 0.0, 0.0], [0.0, 1.0, 0.0]])
    torch.testing.assert_close(sharp, expected / expected.sum(1, keepdim=True))


def test_sharpness_of_one_half_blurs():
    sharp = labels.sharpen(torch.tensor([[0.8, 0.2]]), 0.5)
    torch.testing.assert_close(sharp, torch.tensor([[2.0, 1.0]]) / 3)
