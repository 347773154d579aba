"""Frames at the size at which a protocol shows them to the backbone."""

from __future__ import annotations

import cv2
import numpy as np

from vos.propagation.config import Resampling


def resize_frame(frame: np.ndarray, size: tuple[int, int], resampling: Resampling) -> np.ndarray:
    """(H, W, 3) uint8 to ``size`` (height, width); the frame itself where the size is right.

    ``area`` averages when shrinking and is bilinear when enlarging. ``bicubic`` is Pillow's, which
    widens its kernel when shrinking, as the protocols that use it do.
    """
    if frame.shape[:2] == size:
        return frame
    height, width = size
    if resampling == "bicubic":
        from PIL import Image

        image = Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(image)
    shrinks = height < frame.shape[0]
    averages = resampling == "area" and shrinks
    return cv2.resize(
        frame, (width, height), interpolation=cv2.INTER_AREA if averages else cv2.INTER_LINEAR
    )
