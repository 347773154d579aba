"""Video, images and masks in and out; knows no model.

Frames are ``(H, W, 3)`` uint8 RGB. Masks are ``(H, W)`` uint8 object ids: 0 background, 255 void.
"""

from vos.media.images import read_image, write_image
from vos.media.masks import (
    PALETTE,
    VOID,
    object_ids,
    read_mask,
    read_palette_mask,
    write_mask,
)
from vos.media.video import open_video
from vos.media.video_base import Video

__all__ = [
    "PALETTE",
    "VOID",
    "Video",
    "object_ids",
    "open_video",
    "read_image",
    "read_mask",
    "read_palette_mask",
    "write_image",
    "write_mask",
]
