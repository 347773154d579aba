"""Masks drawn over frames, and frames side by side."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from vos.errors import UsageError
from vos.media.masks import PALETTE, VOID

# The palette is dark, as it was made to tell ids apart and not to be looked at. Nearer to white,
# objects stay visible on dark frames and keep their hue. Shaped (256, 1, 3) as OpenCV's maps.
_FILL = (PALETTE + (255.0 - PALETTE) * (PALETTE > 0) * 0.5).astype(np.uint8)[:, None]
_LINE = (PALETTE + (255.0 - PALETTE) * 0.65).astype(np.uint8)[:, None]


def overlay(
    frame: np.ndarray,
    mask: np.ndarray,
    opacity: float = 0.5,
    *,
    colours: np.ndarray | None = None,
) -> np.ndarray:
    """Tint each object in the colour of its id and draw a thin line around it.

    Args:
        frame: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8 ids; background and void are not drawn.
        opacity: of the tint, 0 (line only) to 1.
        colours: (256, 3) uint8, the colour of each id; None for those of the DAVIS palette, made
            lighter.

    Returns:
        (H, W, 3) uint8 RGB, a new array.

    Raises:
        UsageError: sizes differ, or ``opacity`` is outside 0 to 1.
    """
    if mask.shape != frame.shape[:2]:
        raise UsageError(f"a mask {mask.shape} does not lie over a frame {frame.shape[:2]}")
    if not 0 <= opacity <= 1:
        raise UsageError(f"the opacity lies between 0 and 1, not at {opacity}")
    fill, line = (_FILL, _LINE) if colours is None else (colours[:, None], colours[:, None])
    drawn = frame.copy()
    thickness = max(1, round(min(mask.shape) / 480))
    region = _region_of_objects(mask, margin=thickness)
    objects = mask[region]
    objects = np.where(objects == VOID, 0, objects)
    part = drawn[region]
    if part.size == 0:
        return drawn
    tinted = cv2.addWeighted(part, 1 - opacity, cv2.applyColorMap(objects, fill), opacity, 0)
    cv2.copyTo(tinted, objects, part)
    cv2.copyTo(cv2.applyColorMap(objects, line), _outline(objects, thickness), part)
    return drawn


def contact_sheet(
    frames: Iterable[np.ndarray], columns: int = 4, *, cell_width: int | None = None, gap: int = 4
) -> np.ndarray:
    """Return frames side by side in rows of ``columns``, on white.

    Args:
        frames: (H, W, 3) uint8 RGB each; those of another size than the first are fitted into
            its cell with their ratio kept.
        columns: at least 1; fewer frames make a narrower sheet.
        cell_width: pixels; None keeps the first frame's size.
        gap: pixels between cells.

    Returns:
        One (H', W', 3) uint8 RGB image.

    Raises:
        UsageError: no frames, or ``columns`` below 1.
    """
    images = list(frames)
    if not images or columns < 1:
        raise UsageError("a contact sheet takes at least one frame and one column")
    height, width = images[0].shape[:2]
    if cell_width is not None:
        height, width = max(1, round(height * cell_width / width)), cell_width
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, 3)
    sheet = np.full(shape, 255, np.uint8)
    for number, image in enumerate(images):
        fitted = _fit(image, height, width)
        top = number // columns * (height + gap) + (height - fitted.shape[0]) // 2
        left = number % columns * (width + gap) + (width - fitted.shape[1]) // 2
        sheet[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
    return sheet


def _region_of_objects(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return slice(0), slice(0)
    return (
        slice(max(0, top - margin), top + height + margin),
        slice(max(0, left - margin), left + width + margin),
    )


def _outline(objects: np.ndarray, thickness: int) -> np.ndarray:
    """Non-zero on the object pixels that lie within ``thickness`` of another id."""
    neighbours = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * thickness + 1,) * 2)
    changes = cv2.morphologyEx(objects, cv2.MORPH_GRADIENT, neighbours)
    return cv2.min(changes, objects)


def _fit(image: np.ndarray, height: int, width: int) -> np.ndarray:
    scale = min(height / image.shape[0], width / image.shape[1])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    if size == (image.shape[1], image.shape[0]):
        return image
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
