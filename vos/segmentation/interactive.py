"""One object on one frame, from clicks and a box: `vos.segment_frame`.

The frame is looked at as a whole, then again in a window around what was found; each click looks
again in such a window, a box has one of its own. At each look a small network (`click_network.py`)
reads what `cues.py` says of the window, of all clicks, a box and the mask before, and says how sure
each cell, four to a token, is the object's. A click that adds takes nothing away, and one that
takes away adds nothing; where it corrects a mask or a box it changes what is connected with it, and
nothing else.

The network was fitted to masks of other pictures by ``tools/fit_interactive.py``. That it sees the
mask before, and learns from clicks on its own errors, is from Sofiiuk, Petrov and Konushin,
"Reviving Iterative Training with Mask Guidance for Interactive Segmentation", 2021; that it looks
again more closely from Sofiiuk et al., "f-BRS", 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import torch

from vos.errors import UsageError
from vos.propagation.guided import guided_mask
from vos.segmentation.cues import CELLS, FrameCues
from vos.segmentation.windows import TOKENS, Box, look, whole_frame, window_around
from vos.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    from vos.backbones import Backbone
    from vos.backbones.inference import FeatureExtractor
    from vos.segmentation.click_network import ClickNetwork

_LOOKS = 2  # closer ones, for each click
_DOT = 160  # the shorter side of a frame by the radius of what a click holds
_KEPT = 4  # masks of the last clicks


class Click(NamedTuple):
    """A place on the frame, in pixels, that belongs to the object, or does not."""

    x: int
    y: int
    adds: bool = True


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
        features: (C, h, w) of the image where they are at hand; then no model is used. A model
            is better: it looks closer at small objects.

    Returns:
        (H, W) bool.

    Raises:
        UsageError: no image; neither points nor a box; ones that lie outside the image or are
            none; an unknown model or device.
    """
    clicks, surrounded = check_prompts(image, points, box, mask)
    if features is None:
        from vos.segmentation.propagate import make_extractor

        return InteractiveFrame(image, make_extractor(model, device)).mask(clicks, surrounded, mask)
    values = torch.as_tensor(features, dtype=torch.float32)
    if values.ndim != 3 or 0 in values.shape:
        raise UsageError(f"features have the shape {tuple(values.shape)}: give (channels, h, w)")
    return InteractiveFrame(image, values.cpu()).mask(clicks, surrounded, mask)


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
    """A frame made ready for clicks; what was found for the last ones is kept for the next.

    Args:
        image: (H, W, 3) uint8 RGB.
        source: what computes features, or (C, h, w) float32, those of the whole image.
        network: the one that comes with vos where it is None.
    """

    def __init__(
        self,
        image: np.ndarray,
        source: FeatureExtractor | torch.Tensor,
        network: ClickNetwork | None = None,
    ) -> None:
        from vos.segmentation.click_network import shipped_network

        self.image = image
        self._source = source
        self._network = network or shipped_network()
        self._whole = whole_frame(image)
        self._found: dict[tuple[tuple[Click, ...], Box | None, bytes], np.ndarray] = {}

    def mask(
        self, clicks: Sequence[Click], box: Box | None = None, start: np.ndarray | None = None
    ) -> np.ndarray:
        """Return (H, W) bool; see `segment_frame`, whose checks are not made here.

        Args:
            start: (H, W) bool, what the clicks correct: elsewhere it stays as it is.
        """
        start = None if box is not None else start
        found = self._probability(tuple(clicks), box, start)
        mask = self._along_colours(found)
        if start is not None:
            mask = np.where(found == start, start, mask)
        if box is not None and not clicks:
            mask[: box.top] = mask[box.bottom :] = 0
            mask[:, : box.left] = mask[:, box.right :] = 0
        for click in clicks:
            _dot(mask, click, int(click.adds))
        return mask.astype(bool)

    def _along_colours(self, found: np.ndarray) -> np.ndarray:
        """(H, W) uint8: where a probability is large, with borders where colours change."""
        mask = np.zeros(found.shape, np.uint8)
        if (found > 0.5).any():
            window = window_around(_extent(found > 0.5, ()), found.shape)
            side = CELLS * TOKENS
            cells = cv2.resize(found[window.pixels], (side, side), interpolation=cv2.INTER_AREA)
            labels = torch.from_numpy(np.stack([1 - cells, cells], 2)).reshape(-1, 2)
            part = np.ascontiguousarray(self.image[window.pixels])
            mask[window.pixels] = guided_mask(labels, [1], (side, side), part)
        return mask

    def _probability(
        self, clicks: tuple[Click, ...], box: Box | None, start: np.ndarray | None
    ) -> np.ndarray:
        """(H, W) float32 in [0, 1]: how sure a pixel is the object's."""
        key = (clicks, box, b"" if start is None else start.tobytes())
        if key not in self._found:
            self._found[key] = self._find(clicks, box, start)
            if len(self._found) > _KEPT:
                self._found.pop(next(iter(self._found)))
        return self._found[key]

    def _find(
        self, clicks: tuple[Click, ...], box: Box | None, start: np.ndarray | None
    ) -> np.ndarray:
        if start is not None and not clicks:
            return start.astype(np.float32)
        if box is not None and not clicks:
            return self._in_box(box, self._in_box(box))
        given = box is not None or start is not None
        if len(clicks) == 1 and not given:
            found = self._read(self._whole, clicks)
            for _ in range(_LOOKS):
                found = self._look_again(found, clicks)
            return found
        correct = _connected if given else _more_or_less
        before = found = self._probability(clicks[:-1], box, start)
        for _ in range(_LOOKS):
            found = correct(before, self._look_again(found, clicks), clicks[-1])
        return found

    def _in_box(self, box: Box, before: np.ndarray | None = None) -> np.ndarray:
        """Look at what a box surrounds; nothing is found outside."""
        window = window_around(box, self.image.shape[:2])
        seen, found = np.zeros((2, *self.image.shape[:2]), np.float32)
        seen[window.pixels] = self._read(window, (), box, before)
        found[box.pixels] = seen[box.pixels]
        return found

    def _look_again(self, seen: np.ndarray, clicks: tuple[Click, ...]) -> np.ndarray:
        """Look closer, in a window around what was seen and all clicks."""
        window = window_around(_extent(seen > 0.5, clicks), seen.shape)
        found = seen.copy()
        found[window.pixels] = self._read(window, clicks, before=seen)
        return found

    def _read(
        self,
        window: Box,
        clicks: tuple[Click, ...],
        box: Box | None = None,
        before: np.ndarray | None = None,
    ) -> np.ndarray:
        """What the network says of each pixel of a window."""
        cues = self._whole_cues if window == self._whole else self._cues(window)
        told = [(window.cell(click.x, click.y, cues.cells), click.adds) for click in clicks]
        on, off = ([cell for cell, adds in told if adds == kind] for kind in (True, False))
        cells = None if box is None else window.cells_inside(box, cues.cells)
        if before is not None:
            size = cues.cells[::-1]
            before = cv2.resize(before[window.pixels], size, interpolation=cv2.INTER_AREA)
        found = self._network.probability(*cues.planes(on, off, cells, before))
        return cv2.resize(found, (window.width, window.height), interpolation=cv2.INTER_LINEAR)

    @cached_property
    def _whole_cues(self) -> FrameCues:
        return self._cues(self._whole)

    def _cues(self, window: Box) -> FrameCues:
        picture, vectors = look(self.image, window, self._source)
        return FrameCues(picture, vectors)


def _extent(mask: np.ndarray, clicks: Sequence[Click]) -> Box:
    """The least box around a mask and clicks."""
    rows = [*np.flatnonzero(mask.any(1))[[0, -1]].tolist()] if mask.any() else []
    columns = [*np.flatnonzero(mask.any(0))[[0, -1]].tolist()] if mask.any() else []
    y = rows + [click.y for click in clicks]
    x = columns + [click.x for click in clicks]
    return Box(min(x), min(y), max(x) + 1, max(y) + 1)


def _more_or_less(before: np.ndarray, after: np.ndarray, click: Click) -> np.ndarray:
    """Return what was before and what a click adds, or without what it takes away, anywhere."""
    return np.maximum(before, after) if click.adds else np.minimum(before, after)


def _connected(before: np.ndarray, after: np.ndarray, click: Click) -> np.ndarray:
    """Return what was before, changed where that is connected with a click."""
    changed = ((after > 0.5) != (before > 0.5)).astype(np.uint8)
    _dot(changed, click, 1)
    _, parts = cv2.connectedComponents(changed, connectivity=4)
    return np.where(parts == parts[click.y, click.x], after, before)


def _dot(mask: np.ndarray, click: Click, value: int) -> None:
    """Set what is closest to a click."""
    radius = max(1, min(mask.shape) // _DOT)
    cv2.circle(mask, (click.x, click.y), radius, value, cv2.FILLED)
