"""Frames of one video by number, quick where they are asked for one after another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice

import numpy as np

from vos.errors import UsageError
from vos.media.video_base import Video

_NEAR = 16  # frames that are decoded faster than a file is opened again


class FrameReader:
    """Gives frames in any order; a few steps forward decode what lies between, a jump seeks.

    Holds one frame and one open decoder, whatever the length of the video.
    """

    def __init__(self, video: Video) -> None:
        self._video = video
        self._lock = threading.Lock()
        self._stream: Iterator[np.ndarray] | None = None
        self._index = -1
        self._frame: np.ndarray | None = None

    def __getitem__(self, index: int) -> np.ndarray:
        """Return (H, W, 3) uint8 RGB, not to be changed.

        Raises:
            UsageError: there is no such frame.
            VosError: the frame cannot be read.
        """
        with self._lock:
            if index != self._index or self._frame is None:
                self._frame = self._read(index)
                self._index = index
            return self._frame

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._stream = self._frame = None

    def _read(self, index: int) -> np.ndarray:
        between = index - self._index - 1
        if self._stream is None or not 0 <= between < _NEAR:
            self._stream, between = self._video.read(index), 0
        frame = next(islice(self._stream, between, None), None)
        if frame is None:
            self._stream = None
            raise UsageError(f"there is no frame {index}")
        return frame
