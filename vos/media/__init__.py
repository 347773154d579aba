"""Video, images and masks in and out; knows no model.

Frames are ``(H, W, 3)`` uint8 RGB. Masks are ``(H, W)`` uint8 object ids: 0 background, 255 void.

The names below are loaded on first use: a process that only reads masks, as the workers that
score do, waits for neither FFmpeg nor OpenCV.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vos.lazy import lazy_names

_HOMES = {
    "PALETTE": "vos.media.masks",
    "VOID": "vos.media.masks",
    "object_ids": "vos.media.masks",
    "read_mask": "vos.media.painted_masks",
    "read_palette_mask": "vos.media.masks",
    "write_mask": "vos.media.masks",
    "read_image": "vos.media.images",
    "write_image": "vos.media.images",
    "contact_sheet": "vos.media.drawing",
    "overlay": "vos.media.drawing",
    "RleWriter": "vos.media.rle",
    "decode_rle": "vos.media.rle",
    "encode_rle": "vos.media.rle",
    "read_rle": "vos.media.rle",
    "read_mots": "vos.media.mots",
    "write_mots": "vos.media.mots",
    "Video": "vos.media.video_base",
    "VideoWriter": "vos.media.video_writer",
    "open_video": "vos.media.video",
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
else:
    __getattr__ = lazy_names("vos.media", _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
