"""From a box or a click to the region of an object, on one frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from vos.demo.canvas import editor_size
from vos.errors import UsageError
from vos.propagation import PropagationConfig, frame_size
from vos.propagation.frame_size import resize_frame

if TYPE_CHECKING:
    from vos.backbones.inference import FeatureExtractor

_GRABCUT_SIDE = 480  # GrabCut's time grows with the pixels, its outlines hardly change
_GRABCUT_ROUNDS = 5
_SMALLEST_BOX = 4


def region_in_box(
    frame: np.ndarray, corner: tuple[int, int], opposite: tuple[int, int]
) -> np.ndarray:
    """The object in a box, by GrabCut (Rother et al., 2004).

    Args:
        frame: (H, W, 3) uint8 RGB.
        corner, opposite: (x, y) in pixels.

    Returns:
        (H, W) bool.

    Raises:
        UsageError: the box is too small, or nothing in it differs from what is around it.
    """
    height, width = frame.shape[:2]
    scale = min(1.0, _GRABCUT_SIDE / min(height, width))
    small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    left, right = sorted(round(point[0] * scale) for point in (corner, opposite))
    top, bottom = sorted(round(point[1] * scale) for point in (corner, opposite))
    if right - left < _SMALLEST_BOX or bottom - top < _SMALLEST_BOX:
        raise UsageError("The box is too small: click on two opposite corners around the object")
    labels = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
    labels[top:bottom, left:right] = cv2.GC_PR_FGD
    if (labels == cv2.GC_PR_FGD).all():
        raise UsageError("The box covers the whole frame: leave some background around the object")
    cv2.setRNGSeed(0)
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    nowhere = (0, 0, 0, 0)  # the labels say it all
    outside, inside = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(bgr, labels, nowhere, outside, inside, _GRABCUT_ROUNDS, cv2.GC_INIT_WITH_MASK)
    region = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    if not region.any():
        raise UsageError("Nothing in the box stands out: draw a tighter box, or paint the object")
    return _grow(region.astype(np.float32), (height, width)) > 0.5


def region_around(
    frame: np.ndarray,
    click: tuple[int, int],
    extractor: FeatureExtractor,
    config: PropagationConfig,
    *,
    similarity: float,
) -> np.ndarray:
    """Return the connected region whose features are like those under a click.

    Args:
        frame: (H, W, 3) uint8 RGB.
        click: (x, y) in pixels.
        similarity: least cosine similarity to the clicked place, below 1.

    Returns:
        (H, W) bool; it holds the clicked pixel.
    """
    height, width = frame.shape[:2]
    seen = frame_size(height, width, config, extractor.stride)
    features = extractor([resize_frame(frame, seen, config.resampling)])[0].float().cpu()
    channels, rows, columns = features.shape
    vectors = features.permute(1, 2, 0).numpy().reshape(-1, channels)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    row = min(rows - 1, click[1] * rows // height)
    column = min(columns - 1, click[0] * columns // width)
    likeness = (vectors @ vectors[row * columns + column]).reshape(rows, columns)
    # At the size of the editor: finer than tokens, and quick to find the connected part of.
    small_size = editor_size((height, width))
    like = _grow(likeness, small_size) >= similarity
    x = min(small_size[1] - 1, click[0] * small_size[1] // width)
    y = min(small_size[0] - 1, click[1] * small_size[0] // height)
    radius = max(1, round(small_size[1] / columns / 2))
    cv2.circle(grown := like.astype(np.uint8), (x, y), radius, 1, cv2.FILLED)
    _, parts = cv2.connectedComponents(grown)
    return _grow((parts == parts[y, x]).astype(np.float32), (height, width)) > 0.5


def add_region(mask: np.ndarray, region: np.ndarray, object_id: int) -> np.ndarray:
    """``mask`` with ``region`` given to an object, in front of what was there."""
    return np.where(region, np.uint8(object_id), mask)


def take_region(mask: np.ndarray, region: np.ndarray, object_id: int) -> np.ndarray:
    """``mask`` with the part of an object that lies in ``region`` given to the background."""
    return np.where(region & (mask == object_id), np.uint8(0), mask)


def _grow(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(values, size[::-1], interpolation=cv2.INTER_LINEAR)
