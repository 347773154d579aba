"""What every video offers, whatever it is stored in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vos.errors import UsageError

if TYPE_CHECKING:
    from vos.media.sound import Sound

FOLDER_FRAME_RATE = Fraction(24)  # of DAVIS


class Video(ABC):
    """A sequence of frames of one size, read as a stream.

    Opened by :func:`vos.media.open_video`. Nothing is kept in memory but the frame in hand, so a
    video of any length can be walked through, and it can be walked through any number of times.

    Attributes:
        path: the file or folder.
        name: its name without suffix.
        height, width: of the upright frames, in pixels.
        frame_rate: frames per second, exact; the average where the rate varies.
        frame_count: how many frames there are. Exact for folders, and for files once
            ``count_frames`` or indexing has looked; before that what the container claims, or
            None if it claims nothing.
        rereadable: whether it can be read again, from any frame; a camera or a generator passes
            by once.
        pixel_aspect: width of a pixel as it is shown, by its height.
        sound: what is heard with it; None where there is none.
    """

    path: Path
    name: str
    height: int
    width: int
    frame_rate: Fraction
    frame_count: int | None
    rereadable: bool = True
    pixel_aspect: Fraction = Fraction(1)
    sound: Sound | None = None

    @property
    def fps(self) -> float:
        """Return the frames per second."""
        return float(self.frame_rate)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height, self.width

    @abstractmethod
    def count_frames(self) -> int:
        """Return the exact number of frames; reads through a file the first time."""

    def frame_times(self) -> np.ndarray:
        """Return (T,) float64, seconds at which each frame is shown, the first at 0.

        What the file says, where it says it; else by the frame rate.
        """
        return np.arange(self.count_frames()) / self.fps

    def frame_name(self, index: int) -> str:
        """Return the name of frame ``index`` without a suffix, which its mask bears too.

        In a folder of frames it is that of the frame's file; elsewhere the index, from 00000 on.

        Raises:
            IndexError: a folder of frames has no such frame.
        """
        return f"{index:05d}"

    def file_name(self, index: int) -> str:
        """Return the name of the image file of frame ``index``; files of videos have none yet."""
        return f"{self.frame_name(index)}.jpg"

    @abstractmethod
    def _read(self, start: int, stop: int | None) -> Iterator[np.ndarray]:
        """Return frames ``start`` (>= 0) to ``stop`` (not included; None means the end)."""

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
        """Stream frames ``start`` to ``stop`` (not included), ending early where the video ends.

        Yields:
            (H, W, 3) uint8 RGB, upright. Frame ``i`` is the same whatever ``start`` is.

        Raises:
            UsageError: ``start`` or ``stop`` is negative.
            VosError: a frame cannot be read, after all frames before it were yielded.
        """
        if start < 0 or (stop is not None and stop < 0):
            raise UsageError(f"frames are counted from 0, not from {start} to {stop}")
        return self._read(start, stop)

    def __iter__(self) -> Iterator[np.ndarray]:
        return self.read()

    def __getitem__(self, index: int) -> np.ndarray:
        """Frame ``index`` as (H, W, 3) uint8 RGB; negative numbers count from the end.

        Raises:
            IndexError: there is no such frame.
            VosError: the frame cannot be read.
        """
        position = index + self.count_frames() if index < 0 else index
        frame = next(self._read(position, position + 1), None) if position >= 0 else None
        if frame is None:
            raise IndexError(f"{self.path} has no frame {index}")
        return frame

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({str(self.path)!r}, {self.width} x {self.height}, "
            f"{self.fps:.3f} fps, {self.frame_count} frames)"
        )
