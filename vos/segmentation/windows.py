"""Parts of a frame that clicks look at, and what a look tells: a picture and its features."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vos.segmentation.cues import CellBox, Place, directions

if TYPE_CHECKING:
    from vos.backbones.inference import FeatureExtractor

TOKENS = 40  # along each side of a window, as in the views that the network was fitted to
_MOST_TOKENS = 160  # along the longer side of a whole frame, whose shorter one has as many as above
_FEWEST_TOKENS = 4
_TOKEN = 8  # pixels of the picture that features are computed of
_AROUND = 1.6  # sides of a window, by those of what it surrounds
_NARROWEST = 80  # side of a window, in pixels of the frame
_SLIMMEST = 1.3  # the longer side of a window by the shorter one, where the frame has room


class Box(NamedTuple):
    """The pixels with ``left <= x < right`` and ``top <= y < bottom``."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Rows and columns of an image."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def cell(self, x: int, y: int, cells: tuple[int, int]) -> Place:
        """Return which of the cells that divide the box a pixel lies in, or the nearest one.

        Args:
            cells: rows and columns.
        """
        row = (y - self.top) * cells[0] // self.height
        column = (x - self.left) * cells[1] // self.width
        return min(max(row, 0), cells[0] - 1), min(max(column, 0), cells[1] - 1)

    def cells_inside(self, box: Box, cells: tuple[int, int]) -> CellBox:
        """Return the cells that touch another box, which lies inside."""
        return CellBox(
            (box.top - self.top) * cells[0] // self.height,
            (box.left - self.left) * cells[1] // self.width,
            -(-(box.bottom - self.top) * cells[0] // self.height),
            -(-(box.right - self.left) * cells[1] // self.width),
        )


def whole_frame(image: np.ndarray) -> Box:
    return Box(0, 0, image.shape[1], image.shape[0])


def window_around(box: Box, size: tuple[int, int]) -> Box:
    """Return the part of a frame of a height and width that shows well what a box surrounds."""
    tall = max(box.height * _AROUND, _NARROWEST)
    wide = max(box.width * _AROUND, _NARROWEST)
    height = int(min(max(tall, wide / _SLIMMEST), size[0]))
    width = int(min(max(wide, tall / _SLIMMEST), size[1]))
    top = min(max(0, (box.top + box.bottom - height) // 2), size[0] - height)
    left = min(max(0, (box.left + box.right - width) // 2), size[1] - width)
    return Box(left, top, left + width, top + height)


def look(
    image: np.ndarray, window: Box, source: FeatureExtractor | Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Return what a window shows: a square, as the network knows it, or the whole frame as it is.

    Args:
        image: (H, W, 3) uint8 RGB.
        source: what computes features, or (C, h, w) float32, those of the whole image.

    Returns:
        (8 h, 8 w, 3) uint8 RGB and (h, w, n) float32, the features as `directions` returns them.
    """
    frame = whole_frame(image)
    grid = _grid_of_whole(image) if window == frame else (TOKENS, TOKENS)
    part = image[window.pixels]
    size = (_TOKEN * grid[1], _TOKEN * grid[0])
    resampling = cv2.INTER_AREA if size[0] < part.shape[1] else cv2.INTER_CUBIC
    picture = cv2.resize(part, size, interpolation=resampling)
    if isinstance(source, Tensor):
        features = resampled(source, frame, window, grid)
    else:
        shown = whole_frame(picture)
        features = resampled(source([picture])[0], shown, shown, grid)
    return picture, directions(features.float().cpu().numpy())


def _grid_of_whole(image: np.ndarray) -> tuple[int, int]:
    sides = image.shape[:2]
    scale = min(TOKENS / min(sides), _MOST_TOKENS / max(sides))
    return max(_FEWEST_TOKENS, round(sides[0] * scale)), max(
        _FEWEST_TOKENS, round(sides[1] * scale)
    )


def resampled(features: Tensor, frame: Box, window: Box, grid: tuple[int, int]) -> Tensor:
    """Return (C, *grid), the features of a window, from those (C, h, w) of the whole frame."""
    if window == frame and features.shape[1:] == grid:
        return features
    down, across = torch.meshgrid(
        _on_map(_middles(window.top, window.bottom, grid[0]) / frame.height, features.shape[1]),
        _on_map(_middles(window.left, window.right, grid[1]) / frame.width, features.shape[2]),
        indexing="ij",
    )
    places = torch.stack([across, down], 2)[None].to(features)
    return functional.grid_sample(features[None], places, align_corners=False)[0]


def _on_map(shares: Tensor, count: int) -> Tensor:
    """Shares of a side as -1 to 1, no farther out than the middles of its first and last token."""
    return (shares * 2 - 1).clamp(1 / count - 1, 1 - 1 / count)


def _middles(first: int, last: int, count: int) -> Tensor:
    """Where the middles of equal parts lie."""
    return first + (torch.arange(count) + 0.5) * ((last - first) / count)
