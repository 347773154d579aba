"""What a frame tells about clicks on it: how near each token is, in features, colour and place.

Every cue is a plane on the token grid. Nearness lies in 0 to 1 and is 0 where there is no click, so
that a network can read any number of clicks.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vos.compiled import compiled

Place = tuple[int, int]  # (row, column) of a token

FAR = 1e6
_DIRECTIONS = 48  # of the features that are kept; the rest is noise of this frame
_BORDER_SHARE = 20  # a token is compared with one in 20 of the border's, those most alike


class FrameCues:
    """One frame on its token grid; made once, asked for each click.

    Attributes:
        grid: height and width in tokens.
        across, down: (h, w - 1) and (h - 1, w) float32, how unlike neighbours are: 2 on average.
    """

    def __init__(self, image: np.ndarray, features: np.ndarray) -> None:
        """Prepare a frame.

        Args:
            image: (H, W, 3) uint8 RGB.
            features: (C, h, w) float32.
        """
        self.grid = features.shape[1:]
        self._features = _directions(features)
        small = cv2.resize(image, self.grid[::-1], interpolation=cv2.INTER_AREA)
        self._colours = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / 100
        colour_edges = _edges(self._colours)
        feature_edges = _edges(self._features)
        self._colour_across, self._colour_down = colour_edges
        self.across = colour_edges[0] + feature_edges[0]
        self.down = colour_edges[1] + feature_edges[1]
        self._rows, self._columns = np.indices(self.grid, dtype=np.float32)
        self.border = self._of_border()

    def nearness(self, places: Sequence[Place]) -> tuple[np.ndarray, np.ndarray]:
        """Return the cues of clicks that say the same.

        Returns:
            (13, h, w) float32 nearness to the nearest click, in features, colour, along paths of
            several lengths, and place; and (h, w) float32, the length of the path.
        """
        if not places:
            return np.zeros((13, *self.grid), np.float32), np.full(self.grid, FAR, np.float32)
        alike = np.max([self._features @ self._features[place] for place in places], axis=0)
        colour = np.min([self._colour_distance(place) for place in places], axis=0)
        seeds = np.full(self.grid, FAR, np.float32)
        for place in places:
            seeds[place] = 0
        path = _short_paths(seeds, self.across, self.down)
        colour_path = _short_paths(seeds, self._colour_across, self._colour_down)
        step = _largest_steps(seeds, self.across, self.down)
        apart = np.min([np.hypot(self._rows - r, self._columns - c) for r, c in places], axis=0)
        apart /= min(self.grid)
        cues = [alike, np.exp(-colour / 0.1), np.exp(-colour / 0.3)]
        cues += [np.exp(-path / length) for length in (3, 10, 30, 90)]
        cues += [np.exp(-colour_path / 10), np.exp(-step / 3)]
        cues += [np.exp(-apart / length) for length in (0.03, 0.08, 0.2, 0.5)]
        return np.stack(cues).astype(np.float32), path

    def box(self, inside: np.ndarray) -> np.ndarray:
        """Return the cues of a box, given as (h, w) bool: (11, h, w) float32.

        How near what is around the box is, along paths, in features and in colour; how near its
        middle; and the place in it.
        """
        rows, columns = np.nonzero(inside)
        top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        seeds = np.where(inside, np.float32(FAR), np.float32(0))
        path = _short_paths(seeds, self.across, self.down)
        step = _largest_steps(seeds, self.across, self.down)
        near_rows, near_columns = (bottom - top + 3) // 2, (right - left + 3) // 2
        around = np.zeros(self.grid, bool)
        around[
            max(0, top - near_rows) : bottom + near_rows,
            max(0, left - near_columns) : right + near_columns,
        ] = True
        around &= ~inside
        v = (self._rows + 0.5 - top) / (bottom - top) * 2 - 1
        u = (self._columns + 0.5 - left) / (right - left) * 2 - 1
        middle = inside & (np.abs(u) <= 0.5) & (np.abs(v) <= 0.5)
        middle = middle if middle.any() else inside
        ring = self._most_alike(self._features, around)
        core = self._most_alike(self._features, middle)
        ring_colour = self._least_unlike(self._colours, around)
        core_colour = self._least_unlike(self._colours, middle)
        colours = [np.exp(-ring_colour / 0.1), np.exp(-core_colour / 0.1)]
        paths = [np.exp(-path / 10), np.exp(-path / 40), np.exp(-step / 3)]
        place = [np.clip(np.abs(u), 0, 1), np.clip(np.abs(v), 0, 1), np.clip(np.hypot(u, v), 0, 2)]
        share = np.full(self.grid, inside.mean())
        return np.stack([*paths, ring, core, core - ring, *colours, *place, share]).astype(
            np.float32
        )

    @staticmethod
    def _most_alike(features: np.ndarray, of: np.ndarray) -> np.ndarray:
        """(h, w): mean cosine with the twentieth of the tokens ``of`` that are most alike."""
        alike = features @ _some(features[of]).T
        return np.sort(alike, axis=2)[..., -max(1, alike.shape[2] // _BORDER_SHARE) :].mean(2)

    @staticmethod
    def _least_unlike(colours: np.ndarray, of: np.ndarray) -> np.ndarray:
        """(h, w): mean distance to the twentieth of the tokens ``of`` that are least unlike."""
        some = _some(colours[of])
        unlike = np.linalg.norm(colours[:, :, None] - some, axis=3)
        return np.sort(unlike, axis=2)[..., : max(1, len(some) // _BORDER_SHARE)].mean(2)

    def _colour_distance(self, place: Place) -> np.ndarray:
        row, column = place
        around = self._colours[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        return np.linalg.norm(self._colours - around.mean((0, 1)), axis=2)

    def _of_border(self) -> np.ndarray:
        """(8, h, w): how near the border of the frame is, which mostly shows background."""
        seeds = np.full(self.grid, FAR, np.float32)
        seeds[[0, -1]] = seeds[:, [0, -1]] = 0
        self.border_path = path = _short_paths(seeds, self.across, self.down)
        step = _largest_steps(seeds, self.across, self.down)
        most = self._most_alike(self._features, seeds == 0)
        mean = self._features @ self._features[seeds == 0].mean(0)
        colour = self._least_unlike(self._colours, seeds == 0)
        height, width = self.grid
        rows, columns = self._rows, self._columns
        inside = np.minimum(
            np.minimum(rows, height - 1 - rows), np.minimum(columns, width - 1 - columns)
        )
        cues = [np.exp(-path / 10), np.exp(-path / 40), np.exp(-step / 3), most, mean]
        cues += [np.exp(-colour / 0.1), inside / min(self.grid), rows / height]
        return np.stack(cues).astype(np.float32)


def _directions(features: np.ndarray) -> np.ndarray:
    """(h, w, n) float32 unit vectors: features along the main directions of this frame."""
    channels, height, width = features.shape
    vectors = features.reshape(channels, -1).T.astype(np.float32)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    vectors = vectors - vectors.mean(0)
    _, axes = np.linalg.eigh(vectors.T @ vectors)
    vectors = vectors @ axes[:, ::-1][:, :_DIRECTIONS]
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return vectors.reshape(height, width, -1)


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
def _short_paths(seeds, across, down):  # type: ignore[no-untyped-def]
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
