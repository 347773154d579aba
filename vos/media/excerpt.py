"""A part of a video, as a video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from vos.media.sound import Sound
from vos.media.video_base import Video


class Excerpt(Video):
    """Frames ``start`` to ``stop`` (not included) of a video, counted from 0 anew."""

    def __init__(self, video: Video, start: int, stop: int) -> None:
        self.path = video.path
        self.name = video.name
        self.height, self.width = video.size
        self.frame_rate = video.frame_rate
        self.frame_count = self._count = max(0, min(stop, video.count_frames()) - start)
        self.pixel_aspect = video.pixel_aspect
        self._whole = video
        self._start = start

    @property
    def sound(self) -> Sound | None:  # type: ignore[override]
        whole = self._whole.sound
        if whole is None or self._count == 0:
            return None
        return replace(whole, start=whole.start + float(self._whole.frame_times()[self._start]))

    def count_frames(self) -> int:
        return self._count

    def frame_times(self) -> np.ndarray:
        times = self._whole.frame_times()[self._start : self._start + self._count]
        return times - times[:1]

    def frame_name(self, index: int) -> str:
        return self._whole.frame_name(self._start + index)

    def file_name(self, index: int) -> str:
        return self._whole.file_name(self._start + index)

    def _read(self, start: int, stop: int | None) -> Iterator[np.ndarray]:
        end = self._count if stop is None else min(stop, self._count)
        return self._whole.read(self._start + start, self._start + max(start, end))
