"""Pictures of the page: a frame with its objects, and the two planes of the editor."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from vos.demo.canvas import enlarge, picture_size, shown_frame, shown_mask, to_layer
from vos.demo.session import Session
from vos.media import overlay, write_image

VIEWS_KEPT = 24  # files that a browser may still be fetching


def picture(
    session: Session, index: int, *, opacity: float, corner: tuple[int, int] | None = None
) -> Path:
    """Return a file with frame ``index`` and its visible objects, at most 854 pixels wide.

    Args:
        corner: (x, y) in pixels of the frame, the first corner of a box, marked by a cross.
    """
    frame = session.clip.frames[index]
    height, width = picture_size(frame.shape[:2])
    shrinks = height < frame.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    shown = cv2.resize(frame, (width, height), interpolation=method)
    mask = enlarge(shown_mask(session.mask(index)), (height, width))
    drawn = overlay(shown, visible(session, mask), opacity, colours=session.objects.palette())
    if corner is not None:
        scale = width / frame.shape[1]
        place = (round(corner[0] * scale), round(corner[1] * scale))
        cv2.drawMarker(drawn, place, (0, 0, 0), cv2.MARKER_CROSS, 27, 5)
        cv2.drawMarker(drawn, place, (255, 255, 255), cv2.MARKER_CROSS, 25, 2)
    path = _new_file(session, f"frame-{index:05d}", ".jpg")
    write_image(path, drawn)
    return path


def editor_value(session: Session, index: int) -> dict[str, object]:
    """Return what Gradio's ImageEditor takes: the frame below, the mask as a layer of colours."""
    background = _new_file(session, f"paint-{index:05d}", ".jpg")
    write_image(background, shown_frame(session.clip.frames[index]))
    # `page.js` waits for a layer of this name.
    layer = _new_file(session, f"layer-{index:05d}-edition-{session.edition}", ".png")
    colours = to_layer(shown_mask(session.mask(index)), session.objects)
    Image.fromarray(colours).save(layer, compress_level=1)
    return {"background": str(background), "layers": [str(layer)], "composite": None}


def visible(session: Session, mask: np.ndarray) -> np.ndarray:
    """``mask`` without the objects that are switched off."""
    hidden = session.objects.hidden()
    if not hidden:
        return mask
    table = np.arange(256, dtype=np.uint8)
    table[hidden] = 0
    return table[mask]


def _new_file(session: Session, name: str, suffix: str) -> Path:
    """Return a name not used before, for browsers keep what they fetched; old files are removed."""
    folder = session.folder / "views"
    folder.mkdir(exist_ok=True)
    files = sorted(folder.glob("[0-9]*"))  # those that are being written begin with a dot
    for old in files[: max(0, len(files) - VIEWS_KEPT)]:
        old.unlink(missing_ok=True)
    return folder / f"{next(session.views):08d}-{name}{suffix}"
