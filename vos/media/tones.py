"""How deep pixel values become 8 bits: one scale for all frames of a video.

What is white is in the data and not in the type: cameras keep 10, 12 or 14 bits in 16, and
floating-point images mean 1 or 255 by white. The scale is taken from the values themselves, in
powers of two, so that an image of 8 bits comes out of 12 or 16 as it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

_WHITE_8 = 255
_FRAMES = 32  # frames that are looked at, spread over the video
_PIXELS = 1 << 18  # pixels of a frame that are looked at, about
_OUTLIERS = 0.1  # percent of values that may be hot or dead pixels


@dataclass(frozen=True)
class Scale:
    """The values that become 0 and 255; others between them in proportion, beyond them cut."""

    black: float
    white: float

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return values of any shape and type as uint8."""
        if self.black == 0 and values.dtype.kind in "iu" and self.white >= _WHITE_8:
            bits = math.ceil(math.log2(self.white + 1)) - 8
            return (np.clip(values, 0, int(self.white)) >> bits).astype(np.uint8)
        spread = (np.nan_to_num(values.astype(np.float64)) - self.black) * 255
        return np.clip(np.round(spread / (self.white - self.black)), 0, 255).astype(np.uint8)


class Tones:
    """The scale of the deep frames of a video, measured when the first of them is read.

    Args:
        count: number of frames.
        values: gives the deep values of a frame by index, or None where it has 8 bits.
    """

    def __init__(self, count: int, values: Callable[[int], np.ndarray | None]) -> None:
        self._count = count
        self._values = values

    @cached_property
    def scale(self) -> Scale:
        """The scale of all deep frames, from 32 of them that are spread over the video."""
        chosen = np.unique(np.linspace(0, self._count - 1, min(self._count, _FRAMES)).round())
        found = [self._values(int(index)) for index in chosen]
        return scale_of([values for values in found if values is not None])


def scale_of(frames: Sequence[np.ndarray]) -> Scale:
    """Return the scale of frames by their values, few outliers aside.

    Black is 0, or the lowest value where there are negative ones. White is the power of two that
    holds the values (less 1 for integers), but 255 for what may be 8 bits.
    """
    limits = [np.percentile(_some(values), (_OUTLIERS, 100 - _OUTLIERS)) for values in frames]
    low = min((float(low) for low, _ in limits), default=0.0)
    high = max((float(high) for _, high in limits), default=1.0)
    if low < 0:
        return Scale(low, max(high, low + 1e-6))
    if high <= 0:
        return Scale(0, 1)
    if 16 <= high <= _WHITE_8:
        return Scale(0, _WHITE_8)
    if all(values.dtype.kind in "iu" for values in frames) or high > _WHITE_8:
        return Scale(0, 2 ** math.ceil(math.log2(math.floor(high) + 1)) - 1)
    return Scale(0, 2.0 ** math.ceil(math.log2(high)))


def _some(values: np.ndarray) -> np.ndarray:
    """About 2^18 pixels of a frame, evenly spread, and 0 for what is no number."""
    step = max(1, math.isqrt(values.shape[0] * values.shape[1] // _PIXELS))
    part = values[::step, ::step]
    return np.nan_to_num(part, posinf=0, neginf=0) if part.dtype.kind == "f" else part
