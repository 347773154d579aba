"""Between the canvas of the page and a session: what it shows, and what it sends.

It shows a frame and a layer of colours over it, at most 1280 pixels wide. It sends strokes, clicks
and boxes in pixels of the frame: they are drawn at full size, and pixels beside them stay as they
are.
"""

from __future__ import annotations

import base64
import json
import math
from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import numpy as np

from vos.demo.objects import DemoObject
from vos.demo.session import Session
from vos.errors import UsageError, VosError
from vos.segmentation.interactive import Click

LONG_SIDE = 1280  # of the picture, in pixels
_LONGEST_STROKE = 20_000  # places


class Stroke(NamedTuple):
    """A line of a round brush: (n, 2) float (x, y) in pixels, and the brush's radius."""

    path: np.ndarray
    radius: float
    erases: bool


def shown(session: Session, index: int | None = None) -> str:
    """Return what the canvas is told, as JSON: a frame, the current one unless told."""
    at = session.position if index is None else index
    frame = session.clip.frames[at]
    height, width = frame.shape[:2]
    small, mask = shrunk(frame, session.mask(at), LONG_SIDE)
    chosen = None if session.active is None else session.objects[session.active]
    pointing = session.pointed_at(at)
    return json.dumps(
        {
            "serial": next(session.views),
            "answered": session.answered,
            "index": at,
            "last": session.clip.frame_count - 1,
            "width": width,
            "height": height,
            "frame": data_url(small[..., ::-1], ".jpg", [cv2.IMWRITE_JPEG_QUALITY, 90]),
            "layer": data_url(_layer(mask, session), ".png", [cv2.IMWRITE_PNG_COMPRESSION, 1]),
            "clicks": pointing.clicks if pointing else [],
            "box": pointing.box if pointing else None,
            "name": chosen.name if chosen else "an object",
            "colour": chosen.colour if chosen else "#e6194b",
        }
    )


def _layer(mask: np.ndarray, session: Session) -> np.ndarray:
    """(h, w, 4) uint8 BGRA: visible objects in their colours, their outlines opaque."""
    mask = session.objects.without_hidden(mask)
    table = np.zeros((256, 4), np.uint8)
    table[:, :3] = session.objects.palette()[:, ::-1]
    table[[item.id for item in session.objects], 3] = round(255 * session.opacity)
    layer = table[mask]
    inner = np.ones((3, 3), np.uint8)
    edge = (mask > 0) & (cv2.erode(mask, inner) != cv2.dilate(mask, inner))
    layer[edge, 3] = 255
    return layer


def shrunk(frame: np.ndarray, mask: np.ndarray, long_side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a frame and its mask with their longer side at most ``long_side`` pixels long."""
    height, width = mask.shape
    scale = min(1.0, long_side / max(height, width))
    if scale == 1:
        return frame, mask
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return small, cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT)


def data_url(picture: np.ndarray, suffix: str, settings: list[int]) -> str:
    """Return a picture, in OpenCV's order of colours, as an address that holds it.

    Raises:
        VosError: it cannot be encoded.
    """
    written, encoded = cv2.imencode(suffix, np.ascontiguousarray(picture), settings)
    if not written:
        raise VosError("The frame could not be encoded")
    kind = "jpeg" if suffix == ".jpg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode()}"


def stroke_of(sent: Any) -> Stroke:
    """Return the stroke that the canvas sent.

    Raises:
        UsageError: it is none.
    """
    path = np.array([_numbers(place, 2) for place in _listed(sent, "path", _LONGEST_STROKE)])
    (radius,) = _numbers([sent.get("radius")], 1)
    if not len(path) or not 0 < radius < LONG_SIDE:
        raise UsageError("This is no stroke of a brush")
    return Stroke(path, radius, bool(sent.get("erases")))


def click_of(sent: Any) -> Click:
    """Return the click that the canvas sent; UsageError where it is none."""
    x, y = _numbers([sent.get("x"), sent.get("y")], 2)
    return Click(int(x), int(y), bool(sent.get("adds")))


def box_of(sent: Any) -> list[int]:
    """Return the box that the canvas sent: left, top, right, bottom; UsageError where it is none.

    Corners may be any two that lie across.
    """
    corners = np.array([_numbers(place, 2) for place in _listed(sent, "corners", 2)])
    if corners.shape != (2, 2):
        raise UsageError("This is no box")
    low, high = np.floor(corners.min(0)), np.ceil(corners.max(0))
    return [int(value) for value in (*low, *high)]


def _listed(sent: Any, name: str, longest: int) -> list[Any]:
    values = sent.get(name)
    if not isinstance(values, list) or len(values) > longest:
        raise UsageError(f"The canvas sent no {name}")
    return values


def _numbers(values: Any, count: int) -> list[float]:
    """Return finite numbers that lie near a frame of any size."""
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != count or not all(math.isfinite(n) and abs(n) < 1e5 for n in numbers):
        raise UsageError("The canvas sent no place on the frame")
    return numbers


def stroke_region(stroke: Stroke, size: tuple[int, int]) -> np.ndarray:
    """Return (H, W) bool: the pixels of a frame of ``size`` whose middle a stroke covers."""
    region = np.zeros(size, bool)
    for start, end in pairwise([stroke.path[0], *stroke.path]):
        low = np.minimum(start, end) - stroke.radius
        high = np.maximum(start, end) + stroke.radius
        left, top = np.clip(low, 0, size[::-1]).astype(int)
        right, bottom = np.clip(np.ceil(high), 0, size[::-1]).astype(int)
        y, x = (side + 0.5 for side in np.ogrid[top:bottom, left:right])
        along = end - start
        share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(along @ along, 1e-9)
        share = np.clip(share, 0, 1)
        apart = np.hypot(x - start[0] - share * along[0], y - start[1] - share * along[1])
        region[top:bottom, left:right] |= apart <= stroke.radius
    return region


def give(mask: np.ndarray, region: np.ndarray, item: DemoObject, session: Session) -> np.ndarray:
    """Return ``mask`` with ``region`` given to an object, in front of all that are not locked."""
    return np.where(region & ~_locked(mask, session), np.uint8(item.id), mask)


def erase(mask: np.ndarray, region: np.ndarray, session: Session) -> np.ndarray:
    """Return ``mask`` with ``region`` given to the background, but for objects that are locked."""
    return np.where(region & ~_locked(mask, session), np.uint8(0), mask)


def _locked(mask: np.ndarray, session: Session) -> np.ndarray:
    return np.isin(mask, [item.id for item in session.objects if item.locked])
