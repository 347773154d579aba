"""A video file, decoded by FFmpeg through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av
import numpy as np

from vos.errors import VosError
from vos.media.decoding import decode, frame_rate_of, open_stream, orientation_of
from vos.media.frame_index import FrameIndex, index_frames
from vos.media.sound import Sound
from vos.media.video_base import Video


class VideoFile(Video):
    """The first video stream of a file; sound, subtitles and cover pictures are passed over.

    Frames are turned upright by the display matrix that phones write, flips included. The pixel
    aspect is told and not applied: masks live on the stored pixels. Timestamps may start anywhere
    and be spaced unevenly: frame ``i`` is the i-th that the decoder shows.

    Raises:
        VosError: not a video, or not one frame can be decoded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem
        with open_stream(path) as (container, stream):
            first = next(decode(path, container, stream), None)
            if first is None:
                raise VosError(f"{path} has no frames: give another video")
            self.frame_rate = frame_rate_of(stream)
            self._time_base = stream.time_base
            self._claimed_count = stream.frames or None
            aspect = Fraction(stream.sample_aspect_ratio or 0) or Fraction(1)
            if container.streams.best("audio") is not None:
                self.sound = Sound(path, start=first.time or 0.0)
        self._stored_size = (first.height, first.width)
        self._orientation = orientation_of(first)
        self.pixel_aspect = 1 / aspect if self._orientation.transposed else aspect
        self.height, self.width = (
            self._stored_size[::-1] if self._orientation.transposed else self._stored_size
        )

    @property
    def frame_count(self) -> int | None:  # type: ignore[override]
        return len(self._index) if "_index" in self.__dict__ else self._claimed_count

    def count_frames(self) -> int:
        return len(self._index)

    def frame_times(self) -> np.ndarray:
        if self._index.timestamps is None or self._time_base is None:
            return super().frame_times()
        ticks = self._index.timestamps - self._index.timestamps[0]
        return ticks * float(self._time_base)

    @cached_property
    def _index(self) -> FrameIndex:
        return index_frames(self.path)

    def _read(self, start: int, stop: int | None) -> Iterator[np.ndarray]:
        if stop is not None and stop <= start:
            return
        number = start
        try:
            for frame in self._decode_from(start):
                if (frame.height, frame.width) != self._stored_size:
                    raise VosError(f"{self.path} changes its frame size midway: split it there")
                yield self._orientation.apply(frame.to_ndarray(format="rgb24"))
                number += 1
                if number == stop:
                    return
        except VosError as error:
            where = f"{number} frames could be read" if start == 0 else f"at frame {number}"
            raise VosError(f"{error} ({where})") from error

    def _decode_from(self, start: int) -> Iterator[av.VideoFrame]:
        """Decoded frames from number ``start`` on, from a key frame before it where possible."""
        if start > 0 and start >= len(self._index):
            return
        with open_stream(self.path) as (container, stream):
            for key in self._index.keys_before(start) if start > 0 else []:
                container.seek(key, stream=stream)
                frames = decode(self.path, container, stream)
                found = self._index.find(frames, start)
                if found is not None:
                    yield found
                    yield from frames
                    return
        with open_stream(self.path) as (container, stream):
            for number, frame in enumerate(decode(self.path, container, stream)):
                if number >= start:
                    yield frame
