"""Transformations of pictures, and what they do to a feature map of the same picture.

All act about the centre of the frame. A feature map of stride ``s`` is taken to lie symmetrically
about that centre, so that one token is ``s`` pixels: :func:`vos.analysis.equivariance.measure`
chooses frames for which it does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

KINDS = ("zoom", "rotation", "mirror", "translation", "roll")


@dataclass(frozen=True)
class Transformation:
    """One transformation.

    Attributes:
        kind: ``zoom`` (out), ``rotation``, ``mirror`` (left to right), ``translation`` (to the
            right and down; what enters repeats the border) or ``roll`` (the same on a torus).
        amount: factor from 1, degrees counter-clockwise, 1, or pixels.
    """

    kind: str
    amount: float

    @property
    def turns(self) -> int | None:
        """Quarter turns, None where it is no whole number of them."""
        whole = self.kind == "rotation" and self.amount % 90 == 0
        return int(self.amount // 90) % 4 if whole else None

    @property
    def is_identity(self) -> bool:
        """Whether it changes nothing."""
        return self.amount == (1 if self.kind == "zoom" else 0)

    def apply(self, maps: Tensor, stride: float, size: tuple[int, int]) -> Tensor:
        """Transform maps whose tokens have ``stride`` pixels.

        Quarter turns, mirror images and shifts by whole tokens move values; anything else is
        sampled (bicubic), after a blur where it shrinks.

        Args:
            maps: (B, C, h, w).
            stride: pixels per token; 1 for the picture itself.
            size: rows and columns of the result.

        Returns:
            (B, C, *size)
        """
        if self.turns is not None:
            return torch.rot90(maps, self.turns, (-2, -1))
        if self.kind == "mirror":
            return maps.flip(-1)
        tokens = self.amount / stride
        if self.kind == "roll" and tokens.is_integer():
            return maps.roll((int(tokens), int(tokens)), (-2, -1))
        if self.kind == "zoom" and self.amount > 1:
            maps = _blurred(maps, 0.5 * math.sqrt(self.amount**2 - 1))
        rows, columns = self._sources(size, stride)
        return _sample(maps, rows, columns, wrap=self.kind == "roll")

    def inside(
        self, frame: tuple[int, int], size: tuple[int, int], stride: float, margin: float
    ) -> Tensor:
        """Return which tokens of the transformed map keep away from both borders: (h, w) bool.

        Args:
            frame: height and width of the picture before, in pixels.
            size: rows and columns of the transformed map.
            stride: pixels per token.
            margin: pixels to keep; at most a quarter of the side of either frame.
        """
        rows, columns = _about_centre(size[0]), _about_centre(size[1])
        half = ((size[0]) * stride / 2, (size[1]) * stride / 2)
        after = _away(rows[:, None] * stride, columns[None] * stride, half, margin)
        if self.kind == "roll":  # on a torus nothing has left the frame
            return after
        from_rows, from_columns = self._sources(size, stride)
        half_before = (frame[0] / 2, frame[1] / 2)
        return after & _away(from_rows * stride, from_columns * stride, half_before, margin)

    def _sources(self, size: tuple[int, int], stride: float) -> tuple[Tensor, Tensor]:
        """Return where each token comes from, in tokens from the centre of the map: (h, w) each."""
        rows = _about_centre(size[0])[:, None].expand(size)
        columns = _about_centre(size[1])[None].expand(size)
        if self.kind == "zoom":
            return rows * self.amount, columns * self.amount
        if self.kind in ("translation", "roll"):
            return rows - self.amount / stride, columns - self.amount / stride
        if self.kind == "mirror":
            return rows, -columns
        # Counter-clockwise as seen, rows downwards: read from where the turn came from.
        angle = math.radians(self.amount)
        cosine, sine = math.cos(angle), math.sin(angle)
        return cosine * rows + sine * columns, cosine * columns - sine * rows


def _about_centre(count: int) -> Tensor:
    return torch.arange(count, dtype=torch.float64) - (count - 1) / 2


def _away(rows: Tensor, columns: Tensor, half: tuple[float, float], margin: float) -> Tensor:
    """Return which places (pixels from the centre) keep ``margin`` from the border of a frame."""
    return (rows.abs() < half[0] - min(margin, half[0] / 2)) & (
        columns.abs() < half[1] - min(margin, half[1] / 2)
    )


def _blurred(maps: Tensor, sigma: float) -> Tensor:
    reach = math.ceil(4 * sigma)
    place = torch.arange(-reach, reach + 1, dtype=maps.dtype, device=maps.device)
    taps = torch.exp(-0.5 * (place / sigma) ** 2)
    taps = taps / taps.sum()
    channels = maps.shape[1]
    maps = functional.pad(maps, (reach, reach, reach, reach), mode="replicate")
    for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
        filters = taps.view(shape).expand(channels, -1, -1, -1)
        maps = functional.conv2d(maps, filters, groups=channels)
    return maps


def _sample(maps: Tensor, rows: Tensor, columns: Tensor, *, wrap: bool) -> Tensor:
    """Return bicubic samples at places in tokens from the centre: (B, C, h, w)."""
    height, width = maps.shape[-2:]
    if wrap:
        rows = torch.remainder(rows + height / 2, height) - height / 2
        columns = torch.remainder(columns + width / 2, width) - width / 2
        maps = functional.pad(maps, (3, 3, 3, 3), mode="circular")
    sides = maps.shape[-2:]
    grid = torch.stack([2 * columns / sides[1], 2 * rows / sides[0]], dim=-1)
    grid = grid.to(maps).expand(len(maps), -1, -1, -1)
    return functional.grid_sample(
        maps, grid, mode="bicubic", padding_mode="border", align_corners=False
    )
