"""The window holds exactly the places its shape and radius say."""

import math

import numpy as np
import pytest
import torch

from vos.propagation.config import PropagationConfig
from vos.propagation.engines.reference import window_bias
from vos.propagation.window import half_widths

INSIDE = {
    "open-circle": lambda dy, dx, radius: math.hypot(dy, dx) < radius,
    "circle": lambda dy, dx, radius: math.hypot(dy, dx) <= radius,
    "square": lambda dy, dx, radius: max(abs(dy), abs(dx)) <= radius,
    "everywhere": lambda dy, dx, radius: True,
}


@pytest.mark.parametrize("shape", INSIDE)
@pytest.mark.parametrize("radius", [1.0, 2.5, 5.0, 12.0])
@pytest.mark.parametrize("grid", [(7, 9), (13, 4), (1, 5)])
def test_window_equals_distance(shape, radius, grid):
    config = PropagationConfig(window=shape, radius=radius)
    bias = window_bias(grid, config, torch.device("cpu")).reshape(*grid, *grid)
    for y, x, ky, kx in np.ndindex(*grid, *grid):
        assert bias[y, x, ky, kx] == (0 if INSIDE[shape](ky - y, kx - x, radius) else -math.inf)


def test_prior_on_motion_is_gaussian_in_the_weights():
    config = PropagationConfig(window="square", radius=4, motion_sigma=1.5, temperature=0.2)
    bias = window_bias((5, 6), config, torch.device("cpu")).reshape(5, 6, 5, 6)
    weights = torch.exp(bias[2, 3] / config.temperature)
    for y, x in np.ndindex(5, 6):
        expected = math.exp(-((y - 2) ** 2 + (x - 3) ** 2) / (2 * 1.5**2))
        assert float(weights[y, x]) == pytest.approx(expected, rel=1e-5)


def test_rows_out_of_the_grid_are_left_out():
    assert len(half_widths("open-circle", 12, (4, 100))) == 7
