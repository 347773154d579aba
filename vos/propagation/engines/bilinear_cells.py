"""Cells of the token grid: squares between four token centres, in which enlarged maps are bilinear.

Most tokens carry one or two labels, whatever the number of objects. A cell that lists the channels
that are not zero at its corners lets each of its pixels compare those only.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vos.compiled import compiled


@lru_cache(maxsize=32)
def bilinear_places(
    tokens: int, pixels: int, corners: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for every pixel of one side the tokens before and after it, and the latter's share.

    The places are those of `torch.nn.functional.interpolate`.
    """
    index = np.arange(pixels, dtype=np.float32)
    if corners:
        step = np.float32(tokens - 1) / np.float32(max(pixels - 1, 1))
        place = index * step
    else:
        place = np.maximum((index + np.float32(0.5)) * np.float32(tokens / pixels) - 0.5, 0)
    before = np.minimum(place.astype(np.int64), tokens - 1)
    after = np.minimum(before + 1, tokens - 1)
    share = np.clip(place - before, 0, 1).astype(np.float32)
    return before, after, share


@lru_cache(maxsize=32)
def first_pixels(tokens: int, pixels: int, corners: bool) -> np.ndarray:
    """Return (tokens + 1,) the first pixel of each column of cells, and the end."""
    before, _, _ = bilinear_places(tokens, pixels, corners)
    return np.searchsorted(before, np.arange(tokens + 1))


@compiled()
def channels_of_cells(values, height, width):  # type: ignore[no-untyped-def]
    """Channels not zero at a corner of each cell: ``channels[starts[cell] : starts[cell + 1]]``."""
    count = values.shape[1]
    starts = np.zeros(height * width + 1, np.int64)
    channels = np.empty(height * width * 2 + count, np.int32)
    filled = 0
    for y in range(height):
        for x in range(width):
            cell = y * width + x
            if filled + count > len(channels):
                larger = np.empty(2 * len(channels) + count, np.int32)
                larger[:filled] = channels[:filled]
                channels = larger
            for channel in range(count):
                if (
                    values[cell, channel] != 0.0
                    or (x + 1 < width and values[cell + 1, channel] != 0.0)
                    or (y + 1 < height and values[cell + width, channel] != 0.0)
                    or (
                        x + 1 < width
                        and y + 1 < height
                        and values[cell + width + 1, channel] != 0.0
                    )
                ):
                    channels[filled] = channel
                    filled += 1
            starts[cell + 1] = filled
    return starts, channels[:filled]
