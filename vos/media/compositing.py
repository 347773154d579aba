"""Frames and masks made into pictures for editing: each function takes a frame and its mask.

A frame is (H, W, 3) uint8 RGB, a mask (H, W) uint8 ids; all objects count alike, and void is
background. `COMPOSITES` names the kinds of video that are made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np

from vos.media.drawing import overlay
from vos.media.encodings import H264, PRORES_4444, VP9_ALPHA, Encoding
from vos.media.masks import VOID

GREEN = (0, 255, 0)
DIMMED = 0.3  # brightness of what is not in the spotlight
_BLUR = 1 / 30  # standard deviation of the blur, in short sides of the frame
_SOFT = 1 / 600  # that of the edge where pictures are mixed for good
_FRINGE = 8  # pixels around objects that keep their colours where they are transparent

Draw = Callable[..., np.ndarray]  # of a frame and its mask


def cut_out(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the objects on nothing: (H, W, 4) uint8 RGBA, alpha 255 on objects and 0 elsewhere.

    Colours are straight (not multiplied by alpha). Those of a few transparent pixels around the
    objects are kept, so that enlarging and lossy codecs mix no black into the edges; farther away
    all is black.
    """
    objects = _objects(mask)
    near = cv2.dilate(objects, cv2.getStructuringElement(cv2.MORPH_RECT, (2 * _FRINGE + 1,) * 2))
    return cv2.merge([*cv2.split(cv2.copyTo(frame, near)), objects])


def matte(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return white objects on black, (H, W, 3) uint8."""
    return cv2.cvtColor(_objects(mask), cv2.COLOR_GRAY2RGB)


def on_colour(
    frame: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int] = GREEN
) -> np.ndarray:
    """Return the objects before one colour with hard edges, which a keyer takes away exactly."""
    return cv2.copyTo(frame, _objects(mask), np.full_like(frame, colour))


def spotlight(frame: np.ndarray, mask: np.ndarray, brightness: float = DIMMED) -> np.ndarray:
    """Return the frame with all but the objects dimmed to ``brightness``, 0 to 1."""
    return _mixed(frame, cv2.convertScaleAbs(frame, alpha=brightness), mask)


def blur_background(frame: np.ndarray, mask: np.ndarray, sigma: float = _BLUR) -> np.ndarray:
    """Return the frame with all but the objects out of focus.

    Colours of the objects do not run into the background: each place there is the mean of the
    background around it.

    Args:
        sigma: standard deviation of the blur, in short sides of the frame.
    """
    height, width = mask.shape
    reach = sigma * min(height, width)
    step = max(1, round(reach / 4))  # a blurred picture needs few pixels
    size = max(1, width // step), max(1, height // step)
    around = (_objects(mask) == 0).astype(np.float32)
    weight = cv2.resize(around, size, interpolation=cv2.INTER_AREA)
    colours = cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    seen = cv2.GaussianBlur(weight, (0, 0), reach / step)[..., None]
    mean = cv2.GaussianBlur(colours * weight[..., None], (0, 0), reach / step)
    blurred = np.where(seen > 1e-4, mean / np.maximum(seen, 1e-4), colours)
    back = cv2.resize(blurred.round().astype(np.uint8), (width, height))
    return _mixed(frame, back, mask)


def replace_background(frame: np.ndarray, mask: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Return the objects before a picture, (H, W, 3) uint8 RGB; see `covering`."""
    return _mixed(frame, picture, mask)


def covering(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a picture scaled to cover frames of (height, width), and cut around its middle."""
    height, width = size
    scale = max(height / picture.shape[0], width / picture.shape[1])
    rows = max(height, round(picture.shape[0] * scale))
    columns = max(width, round(picture.shape[1] * scale))
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(picture, (columns, rows), interpolation=smooth)
    top, left = (rows - height) // 2, (columns - width) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width])


@dataclass(frozen=True)
class Composite:
    """A kind of video made of frames and masks.

    Attributes:
        draw: makes its frames, RGB or, where ``encoding`` keeps transparency, RGBA.
        encoding: of the file.
    """

    draw: Draw
    encoding: Encoding = H264


OVERLAY = "overlay"
BACKGROUND = "background"  # the kind that asks for a picture
COMPOSITES: Mapping[str, Composite] = MappingProxyType(
    {
        OVERLAY: Composite(overlay),
        "prores": Composite(cut_out, PRORES_4444),
        "webm": Composite(cut_out, VP9_ALPHA),
        "green": Composite(on_colour),
        "matte": Composite(matte),
        "blur": Composite(blur_background),
        "spotlight": Composite(spotlight),
        BACKGROUND: Composite(replace_background),
    }
)


def _objects(mask: np.ndarray) -> np.ndarray:
    """Return 255 on objects and 0 elsewhere, (H, W) uint8."""
    return np.where((mask > 0) & (mask != VOID), np.uint8(255), np.uint8(0))


def _mixed(front: np.ndarray, back: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return ``front`` on objects and ``back`` elsewhere, with an edge without steps."""
    alpha = cv2.GaussianBlur(_objects(mask), (0, 0), max(0.6, _SOFT * min(mask.shape)))
    share = alpha.astype(np.float32) / 255
    return cv2.blendLinear(front, back, share, 1 - share)
