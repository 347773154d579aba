"""How far apart two boundaries may lie and still count as the same."""

from __future__ import annotations

import math

import numpy as np

TOLERANCE = 0.008
"""Share of the image diagonal, as in the DAVIS benchmark."""


def boundary_radius(height: int, width: int, tolerance: float = TOLERANCE) -> int:
    """Radius, in pixels, of the disk within which a boundary pixel finds its match.

    >>> boundary_radius(480, 854)
    8
    """
    return math.ceil(tolerance * float(np.linalg.norm((height, width))))
