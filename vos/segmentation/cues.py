"""What a network is told of a frame, of clicks, of a box and of the mask before, as planes.

Features speak through how alike tokens are only, so that any backbone's will do. Nearness lies in
0 to 1 and is 0 where there is no click. Most planes lie on the token grid; colours, clicks, box and
mask are told on cells, four to a token, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from vos.compiled import compiled

Place = tuple[int, int]  # (row, column) of a token or a cell

CELLS = 2  # along each side of a token
FAR = 1e6
TOKEN_PLANES, CELL_PLANES = 65, 7
_DIRECTIONS = 48  # of the features that are kept; the rest is noise of this frame
_BORDER_SHARE = 20  # a token is compared with one in 20 of the border's, those most alike
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
_NEIGHBOUR_STEPS = (1, 2, 4)
_CLICK_SIZE = 2.5  # standard deviation of a click, in cells


class CellBox(NamedTuple):
    """The cells with ``top <= row < bottom`` and ``left <= column < right``."""

    top: int
    left: int
    bottom: int
    right: int


class FrameCues:
    """One frame on its token grid; made once, asked for each click.

    Attributes:
        grid: height and width in tokens.
        cells: height and width in cells.
        across, down: (h, w - 1) and (h - 1, w) float32, how unlike neighbours are: 2 on average.
    """

    def __init__(self, image: np.ndarray, vectors: np.ndarray) -> None:
        """Prepare a frame.

        Args:
            image: (H, W, 3) uint8 RGB.
            vectors: (h, w, n) float32, the features as `directions` returns them.
        """
        self.grid = vectors.shape[:2]
        self.cells = (CELLS * self.grid[0], CELLS * self.grid[1])
        self._features = vectors
        self._colours = _lab(image, self.grid)
        colour_edges = _edges(self._colours)
        feature_edges = _edges(self._features)
        self._colour_across, self._colour_down = colour_edges
        self.across = colour_edges[0] + feature_edges[0]
        self.down = colour_edges[1] + feature_edges[1]
        self._rows, self._columns = np.indices(self.grid, dtype=np.float32)
        self._at_border = np.ones(self.grid, bool)
        self._at_border[1:-1, 1:-1] = False
        near = _likeness_of_neighbours(self._features)
        self._of_tokens = np.concatenate([_centred(self._colours), near, self._of_border()])
        self._of_cells = _centred(_lab(image, self.cells))

    def planes(
        self,
        on: Sequence[Place],
        off: Sequence[Place],
        box: CellBox | None = None,
        before: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what a network is told.

        Args:
            on, off: the cells of clicks on the object and beside it.
            before: (2 h, 2 w) float32 in [0, 1], the mask that they correct.

        Returns:
            (TOKEN_PLANES, h, w) and (CELL_PLANES, 2 h, 2 w) float32.
        """
        both = [self.nearness([(r // CELLS, c // CELLS) for r, c in part]) for part in (on, off)]
        tokens = [self._of_tokens, *both, self._of_mask(before), self._of_box(box)]
        cells = [self._of_cells, self._bells(on), self._bells(off)]
        cells += [np.zeros((1, *self.cells)) if before is None else before[None]]
        inside = np.zeros((1, *self.cells))
        if box is not None:
            inside[:, box.top : box.bottom, box.left : box.right] = 1
        return (
            np.concatenate(tokens).astype(np.float32),
            np.concatenate([*cells, inside]).astype(np.float32),
        )

    def nearness(self, places: Sequence[Place]) -> np.ndarray:
        """Return how near each token is to the nearest click among some that say the same.

        Returns:
            (13, h, w) float32: in features, colour, along paths of several lengths, and in place.
        """
        if not places:
            return np.zeros((13, *self.grid), np.float32)
        alike = np.max([self._features @ self._features[place] for place in places], axis=0)
        colour = np.min([self._colour_distance(place) for place in places], axis=0)
        seeds = np.full(self.grid, FAR, np.float32)
        for place in places:
            seeds[place] = 0
        path = short_paths(seeds, self.across, self.down)
        colour_path = short_paths(seeds, self._colour_across, self._colour_down)
        step = _largest_steps(seeds, self.across, self.down)
        apart = np.min([np.hypot(self._rows - r, self._columns - c) for r, c in places], axis=0)
        apart /= min(self.grid)
        cues = [alike, np.exp(-colour / 0.1), np.exp(-colour / 0.3)]
        cues += [np.exp(-path / length) for length in (3, 10, 30, 90)]
        cues += [np.exp(-colour_path / 10), np.exp(-step / 3)]
        cues += [np.exp(-apart / length) for length in (0.03, 0.08, 0.2, 0.5)]
        return np.stack(cues).astype(np.float32)

    def _bells(self, places: Sequence[Place]) -> np.ndarray:
        """(1, 2 h, 2 w): one bell around each click."""
        rows, columns = np.arange(self.cells[0])[:, None], np.arange(self.cells[1])
        bells = np.zeros(self.cells)
        for row, column in places:
            squares = (rows - row) ** 2 + (columns - column) ** 2
            bells = np.maximum(bells, np.exp(-squares / (2 * _CLICK_SIZE**2)))
        return bells[None]

    def _of_mask(self, mask: np.ndarray | None) -> np.ndarray:
        """(3, h, w): a mask on tokens, and how alike they are to the mean in it and outside."""
        if mask is None:
            return np.zeros((3, *self.grid))
        share = cv2.resize(mask, self.grid[::-1], interpolation=cv2.INTER_AREA)
        means = [np.tensordot(w, self._features, ([0, 1], [0, 1])) for w in (share, 1 - share)]
        units = [mean / max(float(np.linalg.norm(mean)), 1e-6) for mean in means]
        return np.stack([share, *(self._features @ unit for unit in units)])

    def _of_box(self, box: CellBox | None) -> np.ndarray:
        """(13, h, w): what lies in a box; how near what is around it is, along paths, in features
        and in colour; how near its middle; and the place in it."""
        if box is None:
            return np.zeros((13, *self.grid))
        top, bottom = box.top // CELLS, -(-box.bottom // CELLS)
        left, right = box.left // CELLS, -(-box.right // CELLS)
        inside = np.zeros(self.grid, bool)
        inside[top:bottom, left:right] = True
        seeds = np.where(inside, np.float32(FAR), np.float32(0))
        path = short_paths(seeds, self.across, self.down)
        step = _largest_steps(seeds, self.across, self.down)
        near_rows, near_columns = (bottom - top + 3) // 2, (right - left + 3) // 2
        around = np.zeros(self.grid, bool)
        around[
            max(0, top - near_rows) : bottom + near_rows,
            max(0, left - near_columns) : right + near_columns,
        ] = True
        around &= ~inside
        around = around if around.any() else self._at_border
        v = (self._rows + 0.5 - top) / (bottom - top) * 2 - 1
        u = (self._columns + 0.5 - left) / (right - left) * 2 - 1
        middle = inside & (np.abs(u) <= 0.5) & (np.abs(v) <= 0.5)
        middle = middle if middle.any() else inside
        ring = _most_alike(self._features, around)
        core = _most_alike(self._features, middle)
        colours = [np.exp(-_least_unlike(self._colours, of) / 0.1) for of in (around, middle)]
        paths = [np.exp(-path / 10), np.exp(-path / 40), np.exp(-step / 3)]
        place = [np.clip(np.abs(u), 0, 1), np.clip(np.abs(v), 0, 1), np.clip(np.hypot(u, v), 0, 2)]
        share = np.full(self.grid, inside.mean())
        return np.stack([inside, *paths, ring, core, core - ring, *colours, *place, share])

    def _colour_distance(self, place: Place) -> np.ndarray:
        row, column = place
        around = self._colours[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        return np.linalg.norm(self._colours - around.mean((0, 1)), axis=2)

    def _of_border(self) -> np.ndarray:
        """(8, h, w): how near the border of the frame is, which mostly shows background."""
        seeds = np.where(self._at_border, np.float32(0), np.float32(FAR))
        path = short_paths(seeds, self.across, self.down)
        step = _largest_steps(seeds, self.across, self.down)
        most = _most_alike(self._features, self._at_border)
        mean = self._features @ self._features[self._at_border].mean(0)
        colour = _least_unlike(self._colours, self._at_border)
        height, width = self.grid
        rows, columns = self._rows, self._columns
        inside = np.minimum(
            np.minimum(rows, height - 1 - rows), np.minimum(columns, width - 1 - columns)
        )
        cues = [np.exp(-path / 10), np.exp(-path / 40), np.exp(-step / 3), most, mean]
        cues += [np.exp(-colour / 0.1), inside / min(self.grid), rows / height]
        return np.stack(cues)


def directions(features: np.ndarray) -> np.ndarray:
    """Return (h, w, n) float32 unit vectors: features (C, h, w) along the main directions."""
    channels, height, width = features.shape
    vectors = features.reshape(channels, -1).T.astype(np.float32)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    vectors = vectors - vectors.mean(0)
    _, axes = np.linalg.eigh(vectors.T @ vectors)
    vectors = vectors @ axes[:, ::-1][:, :_DIRECTIONS]
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return vectors.reshape(height, width, -1)


def _lab(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w, 3) float32: Lab colours of an image of another size, in hundredths."""
    small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / 100


def _centred(colours: np.ndarray) -> np.ndarray:
    """(3, h, w): Lab colours between -1 and 1, mostly."""
    return ((colours - (0.5, 0, 0)) * (2, 3, 3)).transpose(2, 0, 1)


def _likeness_of_neighbours(features: np.ndarray) -> np.ndarray:
    """(12, h, w): cosine with tokens to the right, below and across, at several distances."""
    height, width = features.shape[:2]
    planes = []
    for step in _NEIGHBOUR_STEPS:
        for down, right in _NEIGHBOURS:
            rows, columns = down * step, right * step
            here = features[: height - rows, max(0, -columns) : width - max(0, columns)]
            there = features[rows:, max(0, columns) : width - max(0, -columns)]
            plane = np.zeros((height, width), np.float32)
            plane[: here.shape[0], max(0, -columns) :][:, : here.shape[1]] = (here * there).sum(2)
            planes.append(plane)
    return np.stack(planes)


def _most_alike(features: np.ndarray, of: np.ndarray) -> np.ndarray:
    """(h, w): mean cosine with the twentieth of the tokens ``of`` that are most alike."""
    alike = features @ _some(features[of]).T
    count = max(1, alike.shape[2] // _BORDER_SHARE)
    return np.partition(alike, -count, axis=2)[..., -count:].mean(2)


def _least_unlike(colours: np.ndarray, of: np.ndarray) -> np.ndarray:
    """(h, w): mean distance to the twentieth of the tokens ``of`` that are least unlike."""
    some = _some(colours[of])
    squares = (colours**2).sum(2)[..., None] + (some**2).sum(1) - 2 * colours @ some.T
    count = max(1, len(some) // _BORDER_SHARE)
    nearest = np.partition(squares, count - 1, axis=2)[..., :count]
    return np.sqrt(np.maximum(nearest, 0)).mean(2)


def _edges(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances (h, w - 1) and (h - 1, w) of neighbours in (h, w, n), by their mean."""
    across = np.linalg.norm(values[:, 1:] - values[:, :-1], axis=2)
    down = np.linalg.norm(values[1:] - values[:-1], axis=2)
    mean = max(float(np.r_[across.ravel(), down.ravel()].mean()), 1e-9)
    return (across / mean).astype(np.float32), (down / mean).astype(np.float32)


def _some(values: np.ndarray) -> np.ndarray:
    """At most 200 of the rows of (n, c), evenly."""
    return values[:: -(-len(values) // 200)]


@compiled()
def short_paths(seeds, across, down):  # type: ignore[no-untyped-def]
    """Length of a short path to each token: four sweeps over the grid, to and fro.

    Paths that wind more than that are not found; most are the shortest.
    """
    d = seeds.copy()
    height, width = d.shape
    for _ in range(4):
        for y in range(height):
            for x in range(width):
                if x > 0:
                    d[y, x] = min(d[y, x], d[y, x - 1] + across[y, x - 1])
                if y > 0:
                    d[y, x] = min(d[y, x], d[y - 1, x] + down[y - 1, x])
        for y in range(height - 1, -1, -1):
            for x in range(width - 1, -1, -1):
                if x < width - 1:
                    d[y, x] = min(d[y, x], d[y, x + 1] + across[y, x])
                if y < height - 1:
                    d[y, x] = min(d[y, x], d[y + 1, x] + down[y, x])
    return d


@compiled()
def _largest_steps(seeds, across, down):  # type: ignore[no-untyped-def]
    """Largest step on the way to each token, where that is smallest: six sweeps, as above."""
    d = seeds.copy()
    height, width = d.shape
    for _ in range(6):
        for y in range(height):
            for x in range(width):
                if x > 0:
                    d[y, x] = min(d[y, x], max(d[y, x - 1], across[y, x - 1]))
                if y > 0:
                    d[y, x] = min(d[y, x], max(d[y - 1, x], down[y - 1, x]))
        for y in range(height - 1, -1, -1):
            for x in range(width - 1, -1, -1):
                if x < width - 1:
                    d[y, x] = min(d[y, x], max(d[y, x + 1], across[y, x]))
                if y < height - 1:
                    d[y, x] = min(d[y, x], max(d[y + 1, x], down[y, x]))
    return d
