"""Optical flow of a stream of frames: where each pixel was in the frame before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

LINES = 240  # frames are shrunk to it: tokens of 8 pixels of 480 lines need no finer flow
FEWEST_LINES = 12  # below it the flow of OpenCV finds no patches to compare


def with_flow(
    frames: Iterable[tuple[int, np.ndarray]],
) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
    """Yield each frame with the flow to the one that came before it, whichever that was.

    The flow is dense inverse search ([Kroeger et al., 2016](https://arxiv.org/abs/1603.03590)) as
    OpenCV does it, of greys at 240 lines at most.

    Args:
        frames: pairs of index and (H, W, 3) uint8 RGB.

    Yields:
        Index, frame and flow: (h, w, 2) float32 columns and rows from each pixel to where it was,
        in pixels of the h x w greys. ``None`` for the first frame, after one of another size, and
        where frames are too small.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    before: np.ndarray | None = None
    for index, frame in frames:
        grey = _grey(frame)
        if before is None or before.shape != grey.shape or min(grey.shape) < FEWEST_LINES:
            yield index, frame, None
        else:
            yield index, frame, search.calc(grey, before, None)  # type: ignore[call-overload]
        before = grey


def _grey(frame: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    scale = LINES / min(grey.shape)
    if scale >= 1:
        return grey
    size = (round(grey.shape[1] * scale), round(grey.shape[0] * scale))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
