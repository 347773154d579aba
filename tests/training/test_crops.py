"""Crops made on a device all at once are those made one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from vos.datasets.clips import Clip
from vos.training.config import CropConfig, DataConfig
from vos.training.crops import resampling
from vos.training.pairs import PairLoader, PairSampler


@pytest.mark.parametrize("frames", [1, 2])
def test_a_batch_from_the_pool_is_the_batch_cut_one_by_one(frames: int) -> None:
    random = np.random.default_rng(0)
    shapes = [(5, 40, 60), (3, 64, 48), (1, 50, 50)]
    clips = [
        Clip(str(index), random.integers(0, 256, (*shape, 3), dtype=np.uint8))
        for index, shape in enumerate(shapes)
    ]
    crop = CropConfig(size=24, share_min=0.3, share_max=1.0, jitter=0.2, photo_jitter=0.3)
    sampler = PairSampler(clips, DataConfig(gap=3), crop, seed=1)
    device = torch.device("cpu")
    pooled = PairLoader(clips, sampler, workers=1, device=device, frames=frames)
    single = PairLoader(clips, sampler, workers=1, frames=frames)
    numbers = range(40)
    assert {sampler.pair(number).mirrored for number in numbers} == {True, False}
    found, expected = pooled.load(numbers), single.load(numbers)
    assert found.shape == expected.shape == (frames, 40, 3, 24, 24)
    assert (found.int() - expected.int()).abs().max() <= 1  # a rounding at .5


@pytest.mark.parametrize("side", [9, 24, 53])
def test_weights_are_those_of_antialiased_interpolation(side: int) -> None:
    rows = torch.eye(side)
    weights = resampling(torch.tensor([side]), side, 24)[0]
    expected = functional.interpolate(
        rows[None, None], (24, side), mode="bilinear", align_corners=False, antialias=True
    )[0, 0]
    torch.testing.assert_close(weights @ rows, expected, atol=1e-5, rtol=1e-5)
