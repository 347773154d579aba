"""The size at which a protocol shows a frame to the backbone, larger for small objects."""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2
import numpy as np

from vos.propagation.config import PropagationConfig, Resampling


def frame_size(height: int, width: int, config: PropagationConfig, stride: int) -> tuple[int, int]:
    """Height and width, in pixels, of a ``height`` x ``width`` frame as the backbone sees it.

    ``stride`` (pixels per token) stands in where the protocol rounds to the backbone's patch.
    """
    if config.short_side is None:
        new_height, new_width = float(height), float(width)
    else:
        scale = config.short_side / min(height, width)
        if config.enlarge is not None:
            scale = min(scale, config.enlarge)
        new_height, new_width = height * scale, width * scale
    multiple = config.multiple or stride
    if config.rounding == "up":
        return _ceil(new_height, multiple), _ceil(new_width, multiple)
    if config.rounding == "floor-long":
        if height > width:
            return max(multiple, int(new_height // multiple) * multiple), round(new_width)
        return round(new_height), max(multiple, int(new_width // multiple) * multiple)
    return math.floor(new_height + 0.5), math.floor(new_width + 0.5)


def suited(
    config: PropagationConfig, masks: Iterable[np.ndarray], stride: int
) -> PropagationConfig:
    """Return the protocol for a video: the finer one where an object is small.

    Args:
        masks: (H, W) uint8 ids of the annotated frames; an object is as large as in its first one.
        stride: pixels per token.
    """
    if not config.small_object or config.short_side is None:
        return config
    known = np.array([0, 255])
    for mask in masks:
        height, width = frame_size(mask.shape[0], mask.shape[1], config, stride)
        smallest = config.small_object * mask.size * stride**2 / (height * width)
        ids, counts = np.unique(mask, return_counts=True)
        if (counts[~np.isin(ids, known)] < smallest).any():
            return config.finer()
        known = np.union1d(known, ids)
    return config


def resize_frame(frame: np.ndarray, size: tuple[int, int], resampling: Resampling) -> np.ndarray:
    """Return (H, W, 3) uint8 at ``size`` (height, width); the frame itself where the size is right.

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


def _ceil(side: float, multiple: int) -> int:
    # A side that is a multiple but for rounding errors must not grow by a whole token.
    return math.ceil(side / multiple - 1e-9) * multiple
