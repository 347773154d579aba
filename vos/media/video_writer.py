"""Video files out, a frame at a time: as every browser plays them, or with transparency."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np
from av.codec.codec import UnknownCodecError
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)
from av.video.stream import VideoStream

from vos.errors import UsageError, VosError
from vos.files import atomic_path
from vos.media.encodings import H264, Encoding
from vos.media.sound import Sound, SoundTrack
from vos.media.video_base import Video

# Without exact rounding every round trip darkens the picture by one level.
_CONVERSION = Interpolation.BILINEAR | Interpolation.ACCURATE_RND
_TICK = Fraction(1, 90_000)  # seconds, the clock of most video


class VideoWriter:
    """Writes frames, one at a time: H.264 (yuv420p, BT.709, index at the front) or another form.

    A context manager. The file appears under its name when the block ends; if the block fails,
    nothing is left. H.264 in 4:2:0 has even sizes: an odd row or column count is made even by
    repeating the last row or column.

    Example::

        with VideoWriter(Path("out.mp4"), fps=video.frame_rate, size=video.size) as writer:
            for frame in video:
                writer.write(frame)

    Args:
        path: the file, ending as its encoding does (.mp4, .m4v or .mov); its folder is made if
            need be.
        fps: frames per second; a Fraction is kept (30000/1001), with denominators up to 1001.
        size: (height, width) of the frames that will be written.
        times: (T,) rising seconds at which the frames are shown, where the rate varies; the first
            is taken as 0. None spaces them by ``fps``.
        pixel_aspect: width of a pixel as it is shown, by its height.
        sound: what is heard with the frames; see `VideoWriter.like`.
        encoding: H.264, or one of `vos.media.encodings` that keeps transparency.

    Raises:
        UsageError: another suffix, or a rate that is not positive.
        VosError: the file cannot be written (in the block, or at its end).
    """

    def __init__(
        self,
        path: Path | str,
        *,
        fps: float | Fraction,
        size: tuple[int, int],
        times: np.ndarray | None = None,
        pixel_aspect: Fraction = Fraction(1),
        sound: Sound | None = None,
        encoding: Encoding = H264,
    ) -> None:
        self.path = Path(path)
        check_suffix(self.path, encoding)
        if not 0 < fps <= 1000:
            raise UsageError(f"a frame rate lies above 0 and up to 1000, not at {fps}")
        self.size = tuple(size)
        self._rate = Fraction(fps).limit_denominator(1001)
        self._times = times
        self._pixel_aspect = pixel_aspect
        self._sound = sound
        self._encoding = encoding
        self._track: SoundTrack | None = None
        self._reformatter = VideoReformatter()
        self._count = 0

    @classmethod
    def like(
        cls,
        path: Path | str,
        video: Video,
        *,
        size: tuple[int, int] | None = None,
        sound: bool = True,
        every: int = 1,
        encoding: Encoding = H264,
    ) -> VideoWriter:
        """Return a writer for a video that is played as another: its times, pixels and sound.

        Args:
            video: an opened video, of which the frames that will be written are made.
            size: (height, width) of the frames that will be written; None for those of ``video``.
            sound: copy its sound: AAC as it is, other kinds made AAC (in WebM: Opus).
            every: the frames written are made of each ``every``-th one only.
            encoding: as for `VideoWriter`.
        """
        times = video.frame_times()[::every]
        rate = video.frame_rate / every
        even = np.arange(len(times)) / float(rate)
        uneven = len(times) > 0 and np.abs(times - even).max() > 0.5 / float(rate)
        return cls(
            path,
            fps=rate,
            size=size or video.size,
            times=times if uneven else None,
            pixel_aspect=video.pixel_aspect,
            sound=video.sound if sound else None,
            encoding=encoding,
        )

    def __enter__(self) -> VideoWriter:
        with ExitStack() as stack:
            temporary = stack.enter_context(atomic_path(self.path))
            stack.enter_context(_failures_named(self.path, self._encoding))
            self._container = stack.enter_context(
                av.open(f"file:{temporary.absolute()}", "w", options=dict(self._encoding.container))
            )
            self._stream = self._add_stream()
            if self._sound is not None:
                self._track = SoundTrack(self._sound, self._container)
                stack.callback(self._track.close)
            stack.push(self._finish)
            self._stack = stack.pop_all()
        return self

    def _add_stream(self) -> VideoStream:
        height, width = (self._padded(side) for side in self.size)
        aspect = self._pixel_aspect
        if self._encoding.square:
            width, aspect = round(width * aspect), Fraction(1)
        stream = self._container.add_stream(self._encoding.codec, rate=self._rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = width, height
        stream.pix_fmt = self._encoding.pixels
        stream.options = dict(self._encoding.options)
        codec = stream.codec_context
        if self._times is not None:
            codec.time_base = _TICK
        codec.colorspace, codec.color_range = Colorspace.ITU709, ColorRange.MPEG
        codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        codec.sample_aspect_ratio = aspect
        return stream

    def write(self, frame: np.ndarray) -> None:
        """Append a frame, (H, W, 3) uint8 RGB, or (H, W, 4) RGBA where transparency is kept.

        Raises:
            VosError: the frame has another size or type, or the disk is full.
        """
        height, width = self.size
        pixels = "RGBA" if self._encoding.channels == 4 else "RGB"
        if frame.shape != (height, width, len(pixels)) or frame.dtype != np.uint8:
            raise VosError(
                f"{self.path} takes {width} x {height} {pixels} frames of uint8, "
                f"not an array {frame.shape} of {frame.dtype}"
            )
        below, right = self._padded(height) - height, self._padded(width) - width
        if below or right:
            frame = cv2.copyMakeBorder(frame, 0, below, 0, right, cv2.BORDER_REPLICATE)
        image = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(
                np.ascontiguousarray(frame), format="rgba" if pixels == "RGBA" else "rgb24"
            ),
            self._stream.width,
            self._stream.height,
            self._encoding.pixels,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=_CONVERSION,
        )
        if self._times is None:
            image.pts, image.time_base = self._count, 1 / self._rate
        else:
            image.pts, image.time_base = round(self._seconds(self._count) / _TICK), _TICK
        self._container.mux(self._stream.encode(image))
        self._count += 1
        if self._track is not None:
            self._track.mux_until(self._seconds(self._count))

    def _padded(self, side: int) -> int:
        return side + side % 2 if self._encoding.even else side

    def _seconds(self, index: int) -> float:
        """When frame ``index`` is shown; behind the last known one, at the rate."""
        if self._times is None:
            return index / float(self._rate)
        known = min(index, len(self._times) - 1)
        return float(self._times[known] - self._times[0] + (index - known) / self._rate)

    def _finish(self, kind: type[BaseException] | None, *_: object) -> None:
        """Let the encoder give out what it still holds, unless the block failed."""
        if kind is not None:
            return
        if self._count == 0:
            raise VosError(f"cannot write {self.path}: no frame was written to it")
        self._container.mux(self._stream.encode(None))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)


def check_suffix(path: Path, encoding: Encoding) -> None:
    """See that a file ends as videos of its encoding do.

    Raises:
        UsageError: it does not.
    """
    if path.suffix.lower() not in encoding.suffixes:
        first, *more = encoding.suffixes
        others = f" (or {', '.join(more)})" if more else ""
        raise UsageError(f"{path}: {encoding.name} videos are written as {first}{others}")


@contextmanager
def _failures_named(path: Path, encoding: Encoding) -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        raise VosError(f"cannot write {path}: {error.strerror}") from error
    except UnknownCodecError as error:
        raise VosError(
            f"this build of PyAV lacks the encoder of {encoding.name}: pip install av"
        ) from error
