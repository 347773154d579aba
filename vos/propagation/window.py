"""The window: which places of a context frame a token may take labels from."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from torch import Tensor

from vos.propagation.config import WindowShape


@lru_cache(maxsize=32)
def half_widths(shape: WindowShape, radius: float, grid: tuple[int, int]) -> np.ndarray:
    """Half the width of the window in each of its rows.

    Returns:
        (2 R + 1,) int32: entry ``R + dy`` is the largest |dx| inside the window ``dy`` rows away.
        Offsets that cannot occur on ``grid`` (height, width) are left out, so R <= height - 1.
    """
    height, width = grid
    if shape == "everywhere":
        return np.full(2 * (height - 1) + 1, width - 1, dtype=np.int32)
    reach = min(math.ceil(radius) - 1 if shape == "open-circle" else math.floor(radius), height - 1)
    offsets = range(-reach, reach + 1)
    halves = [min(_half_width(shape, radius, dy), width - 1) for dy in offsets]
    return np.array(halves, dtype=np.int32)


def _half_width(shape: WindowShape, radius: float, dy: int) -> int:
    if shape == "square":
        return math.floor(radius)
    inside = radius * radius - dy * dy
    if shape == "circle":
        return math.floor(math.sqrt(inside) + 1e-9)
    return math.ceil(math.sqrt(inside) - 1e-9) - 1


def in_window(places: Tensor, centres: Tensor, halves: Tensor, width: int) -> Tensor:
    """Return whether ``places`` lie in the windows around ``centres``, on a grid of that width.

    Args:
        places, centres: integers, of shapes that go together.
        halves: (2 R + 1,) what `half_widths` gives.
    """
    reach = len(halves) // 2
    dy = places // width - centres // width
    dx = places % width - centres % width
    return (dy.abs() <= reach) & (dx.abs() <= halves[(reach + dy).clamp(0, 2 * reach)])


def squared_distance(places: Tensor, centres: Tensor, width: int) -> Tensor:
    """Squared distance of ``places`` from ``centres`` in tokens, as floats.

    Arguments are those of `in_window`.
    """
    dy = places // width - centres // width
    dx = places % width - centres % width
    return (dy.square() + dx.square()).float()
