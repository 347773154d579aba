"""The window holds exactly the places its shape and radius say."""

import math

import numpy as np
import pytest
import torch

from vos.propagation.config import PropagationConfig
from vos.propagation.reference import window_mask
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
    mask = window_mask(grid, config, torch.device("cpu")).reshape(*grid, *grid)
    for y, x, ky, kx in np.ndindex(*grid, *grid):
        assert mask[y, x, ky, kx] == INSIDE[shape](ky - y, kx - x, radius)


def test_rows_out_of_the_grid_are_left_out():
    assert len(half_widths("open-circle", 12, (4, 100))) == 7
