"""Video, images and masks in and out; knows no model.

Frames are ``(H, W, 3)`` uint8 RGB. Masks are ``(H, W)`` uint8 object ids: 0 background, 255 void.

The names below are loaded on first use: a process that only reads masks, as the workers that
score do, waits for neither FFmpeg nor OpenCV.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOME = {
    "PALETTE": "masks",
    "VOID": "masks",
    "object_ids": "masks",
    "read_mask": "painted_masks",
    "read_palette_mask": "masks",
    "write_mask": "masks",
    "read_image": "images",
    "write_image": "images",
    "contact_sheet": "drawing",
    "overlay": "drawing",
    "RleWriter": "rle",
    "decode_rle": "rle",
    "encode_rle": "rle",
    "read_rle": "rle",
    "read_mots": "mots",
    "write_mots": "mots",
    "Video": "video_base",
    "VideoWriter": "video_writer",
    "open_video": "video",
}

__all__ = [
    "PALETTE",
    "VOID",
    "RleWriter",
    "Video",
    "VideoWriter",
    "contact_sheet",
    "decode_rle",
    "encode_rle",
    "object_ids",
    "open_video",
    "overlay",
    "read_image",
    "read_mask",
    "read_mots",
    "read_palette_mask",
    "read_rle",
    "write_image",
    "write_mask",
    "write_mots",
]

if TYPE_CHECKING:
    from vos.media.drawing import contact_sheet, overlay
    from vos.media.images import read_image, write_image
    from vos.media.masks import (
        PALETTE,
        VOID,
        object_ids,
        read_palette_mask,
        write_mask,
    )
    from vos.media.mots import read_mots, write_mots
    from vos.media.painted_masks import read_mask
    from vos.media.rle import RleWriter, decode_rle, encode_rle, read_rle
    from vos.media.video import open_video
    from vos.media.video_base import Video
    from vos.media.video_writer import VideoWriter


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'vos.media' has no attribute {name!r}")
    return getattr(importlib.import_module(f"vos.media.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
