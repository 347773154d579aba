"""Random numbers and tileable noise that come out the same on every machine.

Two rules keep the rendered bytes equal everywhere: random numbers are taken from the raw bits of
PCG64, the one stream numpy promises to keep, and pixels are computed in float64, where the last
bit that differs between mathematical libraries is far below what rounding to 8 bits can show.
"""

from __future__ import annotations

import numpy as np


class Random:
    """Uniform numbers from the raw PCG64 stream."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def uniform(self, *shape: int) -> np.ndarray:
        """Float64 in [0, 1) of the given shape."""
        count = int(np.prod(shape, dtype=np.int64))
        return ((self._bits.random_raw(count) >> 11) * 2.0**-53).reshape(shape)

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * float(self.uniform(1)[0])

    def choice(self, count: int) -> int:
        """An integer in [0, count)."""
        return int(self.uniform(1)[0] * count)

    def bell(self, *shape: int) -> np.ndarray:
        """Roughly normal, zero mean, unit variance: the sum of four uniform numbers, scaled."""
        return (self.uniform(4, *shape).sum(axis=0) - 2.0) * 3.0**0.5


def noise(
    random: Random, height: int, width: int, cells: tuple[int, int], octaves: int = 4
) -> np.ndarray:
    """Multi-octave value noise in [0, 1], (height, width), which tiles in both directions.

    ``cells`` is the number of lattice cells down and across in the lowest octave; each further
    octave doubles it at 0.55 of the amplitude, roughly the 1/f spectrum of photographs.
    """
    total = np.zeros((height, width))
    amplitude = 1.0
    for octave in range(octaves):
        rows, columns = cells[0] << octave, cells[1] << octave
        if rows > height or columns > width:
            break
        lattice = random.uniform(rows, columns)
        total += amplitude * _stretch(_stretch(lattice, height, 0), width, 1)
        amplitude *= 0.55
    low, high = total.min(), total.max()
    return (total - low) / (high - low)


def _stretch(lattice: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Interpolate a periodic lattice along one axis with a smooth ease between knots."""
    count = lattice.shape[axis]
    position = np.arange(size) * (count / size)
    knot = position.astype(np.int64)
    ease = smooth(position - knot)
    ease = ease[:, None] if axis == 0 else ease[None, :]
    near = lattice.take(knot, axis=axis)
    far = lattice.take((knot + 1) % count, axis=axis)
    return near * (1 - ease) + far * ease


def smooth(value: np.ndarray) -> np.ndarray:
    """The smoothstep curve: 0 below 0, 1 above 1."""
    value = np.clip(value, 0.0, 1.0)
    return value * value * (3 - 2 * value)
