"""Where the tokens of a feature map lie on the pixels of the frame.

Pixel coordinates are (x, y) with (0, 0) at the centre of the top left pixel, so that a frame
reaches from -0.5 to width - 0.5. Token coordinates are the same on the token grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vos.errors import UsageError


@dataclass(frozen=True)
class Geometry:
    """The map between pixels of the source and tokens.

    Attributes:
        size: (height, width) of the source frames.
        input_size: (height, width) at which the backbone saw them.
        grid: rows and columns of tokens.
        stride: pixels of the input per token.
        centre: the pixel of the input, in x and in y, at which token 0 is centred: 0 for networks
            padded on all sides, (stride - 1) / 2 for those that cut the frame into cells.
    """

    size: tuple[int, int]
    input_size: tuple[int, int]
    grid: tuple[int, int]
    stride: int
    centre: float

    def to_tokens(self, points: np.ndarray) -> np.ndarray:
        """Return (N, 2) pixel coordinates (x, y) of the source as token coordinates."""
        scale, _ = self._scale()
        return ((np.asarray(points, np.float64) + 0.5) * scale - 0.5 - self.centre) / self.stride

    def to_pixels(self, tokens: np.ndarray) -> np.ndarray:
        """Return (N, 2) token coordinates (x, y) as pixel coordinates of the source."""
        scale, _ = self._scale()
        return (np.asarray(tokens, np.float64) * self.stride + self.centre + 0.5) / scale - 0.5

    def check_inside(self, points: ArrayLike) -> np.ndarray:
        """``points`` as (N, 2) float64.

        Raises:
            UsageError: another shape, or a point outside the frame.
        """
        points = np.asarray(points, np.float64)
        if points.ndim != 2 or points.shape[1] != 2:
            raise UsageError(f"points are (N, 2) pixel coordinates x, y, not {points.shape}")
        _, limits = self._scale()
        inside = ((points >= -0.5) & (points <= limits - 0.5)).all(1)
        if not inside.all():
            x, y = points[~inside][0]
            raise UsageError(
                f"the point ({x:g}, {y:g}) lies outside the frame of "
                f"{self.size[1]} x {self.size[0]} pixels"
            )
        return points

    def _scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Return input pixels per source pixel, and the source size, both as (x, y)."""
        source = np.array(self.size[::-1], np.float64)
        return np.array(self.input_size[::-1], np.float64) / source, source


def sample_map(features: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Bilinear look-up at token coordinates, the border repeated outwards.

    Args:
        features: (C, h, w).
        tokens: (N, 2) coordinates x, y.

    Returns:
        (N, C) float32.
    """
    columns, across = _neighbours(tokens[:, 0], features.shape[2])
    rows, down = _neighbours(tokens[:, 1], features.shape[1])
    features = features.astype(np.float32, copy=False)
    upper = _mix(features[:, rows[0], columns[0]], features[:, rows[0], columns[1]], across)
    lower = _mix(features[:, rows[1], columns[0]], features[:, rows[1], columns[1]], across)
    return _mix(upper, lower, down).T


def resize_map(features: np.ndarray, geometry: Geometry, size: tuple[int, int]) -> np.ndarray:
    """Bilinear interpolation of (C, h, w) to a picture of the whole frame, (C, *size) float32.

    Each pixel is looked up at its own centre; beyond the outermost token centres the border is
    repeated.
    """
    height, width = size
    x = (np.arange(width) + 0.5) * (geometry.size[1] / width) - 0.5
    y = (np.arange(height) + 0.5) * (geometry.size[0] / height) - 0.5
    columns, across = _neighbours(geometry.to_tokens(_pairs(x))[:, 0], features.shape[2])
    rows, down = _neighbours(geometry.to_tokens(_pairs(y))[:, 1], features.shape[1])
    features = features.astype(np.float32, copy=False)
    tall = _mix(features[:, rows[0]], features[:, rows[1]], down[:, None])
    return _mix(tall[:, :, columns[0]], tall[:, :, columns[1]], across)


def _pairs(values: np.ndarray) -> np.ndarray:
    return np.stack([values, values], 1)


def _neighbours(
    positions: np.ndarray, count: int
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Indices of the tokens before and behind each position, and the share of the one behind."""
    positions = positions.clip(0, count - 1)
    before = np.floor(positions).astype(np.int64)
    behind = np.minimum(before + 1, count - 1)
    return (before, behind), (positions - before).astype(np.float32)


def _mix(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    return first + (second - first) * share
