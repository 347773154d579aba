"""Decoding the video stream of a file, with failures told in the user's terms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from vos.errors import VosError

# FFmpeg's guesses by suffix that draw text or follow references to other files: no videos.
_NOT_VIDEO_FORMATS = {"tty", "concat", "hls", "dash"}


@contextmanager
def open_stream(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and choose its video stream, with decoding on all cores.

    Raises:
        VosError: missing, empty, unreadable, not a video, or sound only.
    """
    try:
        # The protocol is spelled out because a name like "a:b.mp4" would be read as one.
        container = av.open(f"file:{path.absolute()}")
    except (av.FFmpegError, UnicodeError) as error:
        raise VosError(_why_not_opened(path, error)) from error
    with container:
        stream = container.streams.best("video")
        if container.format.name in _NOT_VIDEO_FORMATS:
            raise VosError(f"{path} is a {container.format.name} file, not a video")
        if not isinstance(stream, VideoStream):
            raise VosError(f"{path} has no video stream: give a video file or a folder of frames")
        stream.thread_type = "AUTO"
        yield container, stream


def decode(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Decode from the container's position to its end, in the order of display.

    Raises:
        VosError: the stream breaks off or is damaged, after all frames before that were yielded.
    """
    whole = 0
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:  # cut short by the end of the file
                yield from _frames_before(packet.pts, stream)
                raise VosError(f"{path} is truncated: download or copy it again")
            yield from packet.decode()
            whole += packet.size > 0
    except av.FFmpegError as error:
        raise VosError(
            f"{path} is damaged ({error.strerror}): download or copy it again"
        ) from error
    if _ends_beyond_file(path, stream):
        raise VosError(f"{path} is truncated: download or copy it again")


def _frames_before(timestamp: int | None, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Yield what the decoder holds from before a lost packet; later frames would be misnumbered."""
    for frame in stream.codec_context.decode(None):
        if timestamp is not None and frame.pts is not None and frame.pts >= timestamp:
            return
        yield frame


def _ends_beyond_file(path: Path, stream: VideoStream) -> bool:
    """Return whether the container's own table places the last sample behind the file's end."""
    entries = stream.index_entries
    if len(entries) == 0:
        return False
    last = entries[-1]
    return last.pos + last.size > path.stat().st_size


def _why_not_opened(path: Path, error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, ValueError):
        return f"cannot read {path}: {error.strerror or error}"
    if path.stat().st_size == 0:
        return f"{path} is empty: replace the file"
    return f"{path} is not a video that can be read, or its end is missing: replace the file"


def frame_rate_of(stream: VideoStream) -> Fraction:
    """Return the average rate; rates no camera has are signs of a broken header, and become 25."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate is not None and 0 < rate <= 1000:
            return Fraction(rate)
    return Fraction(25)


@dataclass(frozen=True)
class Orientation:
    """How stored frames become upright: transpose first, then mirror."""

    transposed: bool = False
    mirror_columns: bool = False
    mirror_rows: bool = False

    def apply(self, frame: np.ndarray) -> np.ndarray:
        """Turn an (H, W, 3) frame upright; contiguous, and the same array if it is already."""
        if self.transposed:
            frame = cv2.transpose(frame)
        if self.mirror_columns or self.mirror_rows:
            code = -1 if self.mirror_columns and self.mirror_rows else int(self.mirror_columns)
            frame = cv2.flip(frame, code)
        return frame


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Return the orientation in a frame's display matrix, as phones write it.

    The matrix maps a stored point to a shown one, ``x' = a x + c y``, ``y' = b x + d y``. Turns
    that are no multiple of 90 degrees are ignored, as browsers do.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return Orientation()
    a, b, _, c, d = np.frombuffer(cast(Any, matrix), np.int32)[:5].tolist()
    if a and d and not b and not c:
        return Orientation(False, mirror_columns=a < 0, mirror_rows=d < 0)
    if b and c and not a and not d:
        return Orientation(True, mirror_columns=c < 0, mirror_rows=b < 0)
    return Orientation()
