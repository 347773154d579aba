"""One object on one frame, from clicks and a box: `vos.segment_frame`.

The frame is looked at on the grid of its features, in cells, four to a token. A small network
(`click_network.py`) reads what `cues.py` says of the frame, of all clicks, a box and the mask
before, and says how sure each cell is the object's. A click changes what is connected with it and
nothing else.

The network was fitted to masks of other pictures by ``tools/fit_interactive.py``. That it sees the
mask before, and learns from clicks on its own errors, is from Sofiiuk, Petrov and Konushin,
"Reviving Iterative Training with Mask Guidance for Interactive Segmentation", 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from vos.errors import UsageError
from vos.segmentation.cues import CellBox, FrameCues, Place, coarser, directions
from vos.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    import torch

    from vos.backbones import Backbone
    from vos.backbones.inference import FeatureExtractor
    from vos.segmentation.click_network import ClickNetwork

_SHORTEST = 40  # side of a frame, in tokens, as in the views that the network was fitted to
_BOX = 28  # longest side of a box, in tokens
_FEWEST = 4  # tokens along a side


class Click(NamedTuple):
    """A place on the frame, in pixels, that belongs to the object, or does not."""

    x: int
    y: int
    adds: bool = True


class Box(NamedTuple):
    """The pixels with ``left <= x < right`` and ``top <= y < bottom``."""

    left: int
    top: int
    right: int
    bottom: int


def segment_frame(
    image: np.ndarray,
    *,
    points: Sequence[Sequence[Any]] = (),
    box: Sequence[Any] | None = None,
    mask: np.ndarray | None = None,
    model: str | Path | Backbone | FeatureExtractor = DEFAULT_MODEL,
    features: np.ndarray | torch.Tensor | None = None,
    device: str | torch.device = "auto",
) -> np.ndarray:
    """Return the mask of the object that is clicked on, or that a box surrounds.

    >>> mask = vos.segment_frame(frame, points=[(310, 200), (420, 90, False)])

    Args:
        image: (H, W, 3) uint8 RGB.
        points: ``(x, y)`` in pixels on the object, or ``(x, y, False)`` beside it, in the order in
            which they correct the mask. The first lies on the object unless there is a box or a
            mask.
        box: ``(left, top, right, bottom)`` in pixels, around the object: nothing outside is marked
            before a point says so.
        mask: (H, W) bool, what the points correct. It is not used with a box.
        model: what `vos.load` takes, a backbone, or an extractor.
        features: (C, h, w) of the image where they are at hand; then no model is used.

    Returns:
        (H, W) bool.

    Raises:
        UsageError: no image; neither points nor a box; ones that lie outside the image or are
            none; an unknown model or device.
    """
    clicks, surrounded = check_prompts(image, points, box, mask)
    if features is None:
        from vos.segmentation.propagate import make_extractor

        features = frame_features(image, make_extractor(model, device))
    values = np.asarray(features, np.float32)
    if values.ndim != 3 or 0 in values.shape:
        raise UsageError(f"features have the shape {values.shape}: give (channels, h, w)")
    return InteractiveFrame(image, values).mask(clicks, surrounded, mask)


def frame_features(image: np.ndarray, extractor: FeatureExtractor) -> np.ndarray:
    """Return (C, h, w) float32: the features of a frame as the default preset looks at it."""
    from vos.propagation import preset
    from vos.propagation.frame_size import frame_size, resize_frame

    config = preset("default")
    height, width = image.shape[:2]
    seen = frame_size(height, width, config, extractor.stride)
    return extractor([resize_frame(image, seen, config.resampling)])[0].float().cpu().numpy()


def check_prompts(
    image: np.ndarray,
    points: Sequence[Sequence[Any]],
    box: Sequence[Any] | None,
    mask: np.ndarray | None = None,
) -> tuple[tuple[Click, ...], Box | None]:
    """Return points and box as `segment_frame` takes them, whole and inside the image.

    Raises:
        UsageError: as `segment_frame`.
    """
    if getattr(image, "ndim", 0) != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise UsageError("the image is no (height, width, 3) array of uint8 RGB")
    height, width = image.shape[:2]
    clicks = tuple(_click(point, width, height) for point in points)
    surrounded = None if box is None else _box(box, width, height)
    if mask is not None and (mask.shape != (height, width) or mask.dtype != bool):
        raise UsageError(f"the mask to correct is no ({height}, {width}) array of bool")
    if surrounded is None and not (clicks and (clicks[0].adds or mask is not None)):
        raise UsageError("give a first point that lies on the object, or a box around it")
    return clicks, surrounded


def _click(point: Sequence[Any], width: int, height: int) -> Click:
    try:
        x, y, adds = (*point, True)[:3]
        click = Click(int(x), int(y), bool(adds))
    except (TypeError, ValueError):
        raise UsageError(f"{point!r} is no point: give (x, y), or (x, y, False)") from None
    if not (0 <= click.x < width and 0 <= click.y < height):
        raise UsageError(
            f"the point {click.x}, {click.y} lies outside the image of {width} x {height} pixels"
        )
    return click


def _box(box: Sequence[Any], width: int, height: int) -> Box:
    try:
        left, top, right, bottom = (int(value) for value in box)
    except (TypeError, ValueError):
        raise UsageError(f"{box!r} is no box: give (left, top, right, bottom)") from None
    inside = Box(max(left, 0), max(top, 0), min(right, width), min(bottom, height))
    if inside.right - inside.left < 4 or inside.bottom - inside.top < 4:
        raise UsageError(
            f"the box {left}, {top}, {right}, {bottom} shows less than 4 x 4 pixels of the image "
            f"of {width} x {height}: give left, top, right, bottom around the object"
        )
    return inside


class InteractiveFrame:
    """A frame made ready for clicks; what was computed for the first ones is kept for the next.

    Args:
        image: (H, W, 3) uint8 RGB.
        features: (C, h, w) float32.
        network: the one that comes with vos where it is None.
    """

    def __init__(
        self, image: np.ndarray, features: np.ndarray, network: ClickNetwork | None = None
    ) -> None:
        from vos.segmentation.click_network import shipped_network

        self.image = image
        self._vectors = directions(features)
        self._network = network or shipped_network()
        self._cues: dict[tuple[int, int], FrameCues] = {}
        self._known: dict[tuple[bytes, Box | None, tuple[Click, ...]], np.ndarray] = {}

    def mask(
        self, clicks: Sequence[Click], box: Box | None = None, start: np.ndarray | None = None
    ) -> np.ndarray:
        """Return (H, W) bool; see `segment_frame`, whose checks are not made here.

        Args:
            start: (H, W) bool, what the clicks correct: elsewhere it stays as it is.
        """
        clicks = tuple(clicks)
        if start is None or box is not None:
            mask = self._on_pixels(self.labels(clicks, box))
        else:
            before = self._on_pixels(self.labels((), None, start))
            after = self._on_pixels(self.labels(clicks, None, start))
            mask = (start | (after & ~before)) & ~(before & ~after)
        if box is not None and not clicks:
            mask[: box.top] = mask[box.bottom :] = False
            mask[:, : box.left] = mask[:, box.right :] = False
        return self._hold(mask, clicks)

    def labels(
        self, clicks: tuple[Click, ...], box: Box | None, start: np.ndarray | None = None
    ) -> np.ndarray:
        """Return (2 h, 2 w) float32 in [0, 1]: how sure a cell of `cues` is the object's."""
        if start is not None and box is None:
            size = self.cues().cells[::-1]
            begin = cv2.resize(start.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        else:
            begin = None
        return self._labels(clicks, box, begin)

    def _labels(
        self, clicks: tuple[Click, ...], box: Box | None, begin: np.ndarray | None
    ) -> np.ndarray:
        key = (b"" if begin is None else begin.tobytes(), box, clicks)
        if key not in self._known:
            self._known[key] = self._compute(clicks, box, begin)
        return self._known[key]

    def _compute(
        self, clicks: tuple[Click, ...], box: Box | None, begin: np.ndarray | None
    ) -> np.ndarray:
        if not clicks:
            return self._read((), box, None) if begin is None else begin
        if len(clicks) == 1 and box is None and begin is None:
            return self._read(clicks, None, None)
        before = self._labels(clicks[:-1], box, begin)
        after = self._read(clicks, box, before)
        place = self._cell(clicks[-1], self.cues(box))
        changed = ((after > 0.5) != (before > 0.5)).astype(np.uint8)
        changed[place] = 1
        _, parts = cv2.connectedComponents(changed, connectivity=4)
        return np.where(parts == parts[place], after, before)

    def _read(
        self, clicks: tuple[Click, ...], box: Box | None, before: np.ndarray | None
    ) -> np.ndarray:
        cues = self.cues(box)
        told = [(self._cell(click, cues), click.adds) for click in clicks]
        on, off = ([cell for cell, adds in told if adds == kind] for kind in (True, False))
        cells = None if box is None else self._cells_inside(box, cues)
        return self._network.probability(*cues.planes(on, off, cells, before))

    def cues(self, box: Box | None = None) -> FrameCues:
        """Return what the frame tells on a grid as coarse as those of views that were fitted to."""
        rows, columns = self._vectors.shape[:2]
        if box is None:
            scale = min(1.0, _SHORTEST / min(rows, columns))
        else:
            height, width = self.image.shape[:2]
            tall, wide = (box.bottom - box.top) / height, (box.right - box.left) / width
            scale = min(1.0, _BOX / max(tall * rows, wide * columns))
        grid = (max(_FEWEST, round(rows * scale)), max(_FEWEST, round(columns * scale)))
        grid = (min(grid[0], rows), min(grid[1], columns))
        if grid not in self._cues:
            self._cues[grid] = FrameCues(self.image, coarser(self._vectors, grid))
        return self._cues[grid]

    def _on_pixels(self, labels: np.ndarray) -> np.ndarray:
        """(H, W) bool from cells."""
        height, width = self.image.shape[:2]
        return cv2.resize(labels, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5

    def _hold(self, mask: np.ndarray, clicks: tuple[Click, ...]) -> np.ndarray:
        """Let the cell around each click be what the click says."""
        (rows, columns), (height, width) = self.cues().cells, self.image.shape[:2]
        radius = max(1, min(height // rows, width // columns) // 2)
        held = mask.astype(np.uint8)
        for click in clicks:
            cv2.circle(held, (click.x, click.y), radius, int(click.adds), cv2.FILLED)
        return held.astype(bool)

    def _cell(self, click: Click, cues: FrameCues) -> Place:
        """Return the cell that a click lies in."""
        (rows, columns), (height, width) = cues.cells, self.image.shape[:2]
        return click.y * rows // height, click.x * columns // width

    def _cells_inside(self, box: Box, cues: FrameCues) -> CellBox:
        """Return the cells that touch a box."""
        (rows, columns), (height, width) = cues.cells, self.image.shape[:2]
        return CellBox(
            box.top * rows // height,
            box.left * columns // width,
            -(-box.bottom * rows // height),
            -(-box.right * columns // width),
        )
