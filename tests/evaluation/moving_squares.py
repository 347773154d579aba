"""True masks that are easy to reason about: squares that move by a pixel a frame."""

from __future__ import annotations

import numpy as np

SIZE = (48, 64)


def moving_squares(frames: int, ids: tuple[int, ...] = (1, 2)) -> list[np.ndarray]:
    """One square an object, each moving right by a pixel a frame."""
    masks = []
    for index in range(frames):
        mask = np.zeros(SIZE, np.uint8)
        for row, object_id in enumerate(ids):
            top, left = 4 + 14 * row, 6 + index
            mask[top : top + 10, left : left + 10] = object_id
        masks.append(mask)
    return masks
