"""Soft labels to a mask whose borders are those of the frame: the guided filter.

Soft labels are known once per token. Around each token they are taken for an affine function of the
colour, ``label = slope . colour + offset``, by least squares over the tokens nearby. The functions
are averaged over the windows that hold a token, enlarged as labels would be, and asked for the
colour of each pixel. So a border runs where the colour changes, if it does so near the border of
the labels, and nothing changes where all labels are alike. Windows of two sizes count alike: small
ones keep small objects apart, large ones find borders that the labels miss by more than a token.

Source: He, Sun, Tang, "Guided Image Filtering", 2013; He, Sun, "Fast Guided Filter", 2015, whose
coarse grid is that of the tokens here.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from torch import Tensor

from vos.compiled import compiled
from vos.propagation.engines.bilinear_cells import bilinear_places, channels_of_cells, first_pixels
from vos.propagation.engines.threads import in_threads

RADII = (1, 2)  # tokens on either side that functions are fitted to
RIDGE = 3e-5  # variance of colour, of 1, below which a slope is not trusted


def guided_mask(
    labels: Tensor, ids: Sequence[int], grid: tuple[int, int], frame: np.ndarray
) -> np.ndarray:
    """Return the mask that soft labels stand for in a frame.

    Args:
        labels: (N, K + 1) float, background first; each row sums to one.
        ids: of the objects, in the order of the channels after the background.
        grid: height and width in tokens.
        frame: (H, W, 3) uint8 RGB.

    Returns:
        (H, W) uint8 ids.
    """
    objects = labels[:, 1:].cpu().float().numpy()
    functions = label_functions(objects.reshape(*grid, -1), frame)
    size = frame.shape[:2]
    rows = bilinear_places(grid[0], size[0], False)
    columns = bilinear_places(grid[1], size[1], False)
    edges = first_pixels(grid[1], size[1], False)
    starts, channels = channels_of_cells(np.abs(functions).max(2), *grid)
    winners = np.empty(size, np.int16)

    def decide(worker: int, workers: int) -> None:
        places = (grid[1], *rows, *columns, edges, starts, channels)
        _decide(functions, frame, *places, winners, worker, workers)  # type: ignore[call-arg]

    in_threads(decide)
    return np.array([0, *ids], np.uint8)[winners]


def label_functions(planes: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Return (h w, K, 4) float32: slopes and offset of each of the planes (h, w, K) at each token.

    Each plane is fitted around the tokens where it is not zero only: further away its function
    is zero.
    """
    height, width, count = planes.shape
    small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    windows = [_Windows(small.astype(np.float32) / 255, radius) for radius in RADII]
    functions = np.zeros((height, width, count, 4), np.float32)
    for channel in range(count):
        rows, columns = np.nonzero(planes[..., channel])
        if len(rows):
            place = (_around(rows, height), _around(columns, width))
            plane = np.ascontiguousarray(planes[(*place, channel)])
            fits = [window.fit(plane, place) for window in windows]
            functions[(*place, channel)] = np.mean(fits, axis=0)
    return functions.reshape(height * width, count, 4)


class _Windows:
    """Windows of one size around all tokens: what fitting needs to know of their colours."""

    def __init__(self, colours: np.ndarray, radius: int) -> None:
        """Take the colours (h, w, 3) of tokens, in [0, 1]."""
        self.radius, self.colours = radius, colours
        self.mean = self._average(colours)
        products = colours[..., :, None] * colours[..., None, :]  # (h, w, 3, 3)
        moments = np.stack([self._average(products[..., row, :]) for row in range(3)], axis=-2)
        covariance = moments - self.mean[..., :, None] * self.mean[..., None, :]
        self.inverse = _inverses(covariance + RIDGE * np.eye(3, dtype=np.float32))

    def fit(self, plane: np.ndarray, place: tuple[slice, slice]) -> np.ndarray:
        """Return slopes and offset (..., 4) of the ``plane`` that lies at ``place``."""
        colours, mean = self.colours[place], self.mean[place]
        level = self._average(plane)
        together = self._average(colours * plane[..., None]) - mean * level[..., None]
        slopes = np.einsum("hwij,hwj->hwi", self.inverse[place], together)
        offset = level - (slopes * mean).sum(2)
        fitted = self._average(np.concatenate([slopes, offset[..., None]], axis=2))
        # Sums that slide leave rounding errors where everything is zero.
        reach = np.ones((4 * self.radius + 1, 4 * self.radius + 1), np.uint8)
        fitted[cv2.dilate((plane > 0).astype(np.uint8), reach) == 0] = 0
        return fitted

    def _average(self, values: np.ndarray) -> np.ndarray:
        """Mean over the window of each token, mirrored at the border."""
        side = 2 * self.radius + 1
        return cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT)


def _inverses(matrices: np.ndarray) -> np.ndarray:
    """Invert symmetric matrices (..., 3, 3) by their cofactors, ten times faster than LAPACK."""
    (a, b, c), (_, d, e), (_, _, f) = np.moveaxis(matrices.astype(np.float64), (-2, -1), (0, 1))
    p, q, r = d * f - e * e, c * e - b * f, b * e - c * d
    cofactors = (p, q, r, q, a * f - c * c, b * c - a * e, r, b * c - a * e, a * d - b * b)
    inverses = np.stack(cofactors, axis=-1) / (a * p + b * q + c * r)[..., None]
    return inverses.reshape(matrices.shape).astype(matrices.dtype)


def _around(places: np.ndarray, size: int) -> slice:
    """Two windows beyond ``places`` functions end; one more, so that its border does no harm."""
    margin = 3 * max(RADII)
    return slice(max(0, int(places.min()) - margin), min(size, int(places.max()) + margin + 1))


@compiled()
def _at(function, red, green, blue):  # type: ignore[no-untyped-def]
    return function[0] * red + function[1] * green + function[2] * blue + function[3]


@compiled()
def _decide(  # type: ignore[no-untyped-def]
    functions,
    frame,
    width,
    y0,
    y1,
    ys,
    x0,
    x1,
    xs,
    edges,
    starts,
    channels,
    winners,
    worker,
    workers,
):
    """Write the strongest object of every pixel where it beats what is left for the background."""
    one, scale = np.float32(1), np.float32(1 / 255)
    for row in range(worker, len(y0), workers):
        top, bottom, down = y0[row] * width, y1[row] * width, ys[row]
        for across_cell in range(width):
            first, last = edges[across_cell], edges[across_cell + 1]
            cell = top + across_cell
            if starts[cell] == starts[cell + 1]:
                winners[row, first:last] = 0
                continue
            for column in range(first, last):
                left, right, across = x0[column], x1[column], xs[column]
                red = frame[row, column, 0] * scale
                green = frame[row, column, 1] * scale
                blue = frame[row, column, 2] * scale
                winner, best, total = 0, -np.float32(np.inf), np.float32(0)
                for entry in range(starts[cell], starts[cell + 1]):
                    channel = channels[entry]
                    upper = (
                        _at(functions[top + left, channel], red, green, blue) * (one - across)
                        + _at(functions[top + right, channel], red, green, blue) * across
                    )
                    lower = (
                        _at(functions[bottom + left, channel], red, green, blue) * (one - across)
                        + _at(functions[bottom + right, channel], red, green, blue) * across
                    )
                    value = upper * (one - down) + lower * down
                    total += value
                    if value > best:
                        winner, best = channel + 1, value
                winners[row, column] = winner if best > one - total else 0
