"""Frames from memory, and streams that pass by once, as videos.

A frame may be an array or a tensor, (H, W, 3) RGB of uint8 or of floats in [0, 1], also with the
channels first or grey, (H, W); a Pillow image; or the path of an image.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vos.errors import MissingError, UsageError, VosError
from vos.media.images import read_image
from vos.media.video_base import Video

FRAME_RATE = Fraction(24)

_FORM = (
    "a frame is an (H, W, 3) array of uint8 RGB or of floats from 0 to 1, a Pillow image, or the "
    "path of an image"
)


def open_frames(frames: Any, *, rate: Fraction = FRAME_RATE) -> Video:
    """Return frames in memory as a video.

    Args:
        frames: an array or a tensor (T, H, W, 3) or (T, 3, H, W); a list of frames, or whatever
            has a length and gives a frame by its number, such as a data set of PyTorch; or an
            iterator, such as a generator, which is read once, forwards.
        rate: frames per second.

    Raises:
        UsageError: none of these, or no frames at all.
        VosError: the first frame cannot be read.
    """
    if isinstance(frames, Iterator):
        return FrameStream(frames, name="frames", rate=rate)
    array = None if isinstance(frames, list | tuple) else as_array(frames)
    if array is not None and array.ndim == 4:
        return FrameSequence(array, rate)
    if array is not None and array.ndim in (2, 3):
        raise UsageError(
            f"the video is an array of shape {array.shape}: frames are (T, H, W, 3); one frame is "
            "frame[None], and grey frames are list(frames)"
        )
    if array is None and _has_places(frames):
        return FrameSequence(frames, rate)
    if isinstance(frames, Iterable) and array is None and not isinstance(frames, bytes):
        return FrameStream(iter(frames), name="frames", rate=rate)
    raise UsageError(
        f"a video cannot be made of {type(frames).__name__}: give a path, an opened Video, "
        "an array (T, H, W, 3), or a list or generator of frames"
    )


def _has_places(frames: Any) -> bool:
    """Tell whether frames are had by their numbers, as often as one likes."""
    by_number = hasattr(frames, "__len__") and hasattr(frames, "__getitem__")
    return by_number and not isinstance(frames, str | bytes | Mapping)


class FrameSequence(Video):
    """Frames in memory, of one size, each turned into RGB when it is read.

    Raises:
        UsageError: no frames, or the first one is none.
        VosError: the first frame is a file that cannot be read.
    """

    def __init__(self, frames: Sequence[Any] | np.ndarray, rate: Fraction = FRAME_RATE) -> None:
        if len(frames) == 0:
            raise UsageError("the video has no frames: give at least one")
        self.path, self.name = Path("frames in memory"), "frames"
        self.frame_rate = rate
        self.frame_count = len(frames)
        self._frames = frames
        self.height, self.width = to_frame(frames[0], 0).shape[:2]

    def count_frames(self) -> int:
        return len(self._frames)

    def _read(self, start: int, stop: int | None) -> Iterator[np.ndarray]:
        for index in range(*slice(start, stop).indices(len(self._frames))):
            yield _checked(to_frame(self._frames[index], index), index, self.size)


class FrameStream(Video):
    """Frames that pass by once, forwards: a generator, a camera, an address.

    Raises:
        UsageError: no frames, or the first one is none.
    """

    rereadable = False

    def __init__(self, frames: Iterator[Any], *, name: str, rate: Fraction = FRAME_RATE) -> None:
        first = next(frames, None)
        if first is None:
            raise UsageError(f"the video {name} has no frames: give at least one")
        self.path, self.name = Path(name), name
        self.frame_rate = rate
        self.frame_count = None
        shown = to_frame(first, 0)
        self.height, self.width = shown.shape[:2]
        self._frames: Iterator[Any] | None = chain([shown], frames)

    def count_frames(self) -> int:
        raise UsageError(
            f"the video {self.name} is a stream, whose frames cannot be counted: collect them in a "
            "list first"
        )

    def _read(self, start: int, stop: int | None) -> Iterator[np.ndarray]:
        if self._frames is None:
            raise UsageError(
                f"the video {self.name} can be read once only, and has been: collect its frames in "
                "a list first"
            )
        frames, self._frames = self._frames, None
        for index, frame in enumerate(islice(frames, start, stop), start=start):
            yield _checked(to_frame(frame, index), index, self.size)


def open_camera(index: int) -> FrameStream:
    """Open camera ``index`` of this machine, from 0 on, as a stream.

    Raises:
        UsageError: ``index`` is negative.
        MissingError: there is no such camera, or it cannot be opened.
    """
    if index < 0:
        raise UsageError(f"cameras are counted from 0, there is no camera {index}")
    system = platform.system()
    device, driver = {
        "Darwin": (str(index), "avfoundation"),
        "Windows": (f"video={index}", "dshow"),
    }.get(system, (f"/dev/video{index}", "v4l2"))
    return open_stream_at(device, name=f"camera {index}", driver=driver)


def open_stream_at(
    address: str, *, name: str | None = None, driver: str | None = None
) -> FrameStream:
    """Open an address that FFmpeg reads, such as ``rtsp://...``, as a stream.

    Args:
        name: what messages call it.
        driver: FFmpeg's input format; it is found out unless given.

    Raises:
        MissingError: nothing there that can be read.
        VosError: no video in it.
    """
    import av
    from av.video.stream import VideoStream

    from vos.media.decoding import frame_rate_of, orientation_of

    called = name or address
    try:
        container = av.open(address, format=driver)
    except (av.FFmpegError, ValueError) as error:
        raise MissingError(f"cannot open {called}: {error}") from error
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        container.close()
        raise VosError(f"{called} has no video stream")
    rate = frame_rate_of(stream)

    def read() -> Iterator[np.ndarray]:
        with container:
            try:
                for frame in container.decode(stream):
                    yield orientation_of(frame).apply(frame.to_ndarray(format="rgb24"))
            except av.FFmpegError as error:
                raise VosError(f"{called} broke off: {error}") from error

    return FrameStream(read(), name=called, rate=rate)


def to_frame(value: Any, index: int) -> np.ndarray:
    """Return frame ``index`` as (H, W, 3) uint8 RGB.

    Raises:
        UsageError: it is no frame; the message says what it is.
        VosError: it is a file that cannot be read.
    """
    if isinstance(value, str | Path):
        return read_image(Path(value))
    if isinstance(value, Image.Image):
        value = value.convert("RGB")
    array = as_array(value)
    if array is None:
        raise UsageError(f"frame {index} is of type {type(value).__name__}: {_FORM}")
    pixels = _to_bytes(array, index)
    if pixels.ndim == 4 and len(pixels) == 1:  # a batch of one
        pixels = pixels[0]
    if pixels.ndim == 2:
        return np.repeat(pixels[..., None], 3, axis=2)
    if pixels.ndim == 3 and pixels.shape[2] != 3 and pixels.shape[0] == 3:
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        alpha = "; drop the alpha channel: frame[..., :3]" if pixels.shape[2:] == (4,) else ""
        raise UsageError(f"frame {index} has the shape {array.shape}: {_FORM}{alpha}")
    return np.ascontiguousarray(pixels)


def _to_bytes(array: np.ndarray, index: int) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "f" and array.size and array.min() >= 0 and array.max() <= 1:
        return (array.astype(np.float32) * 255 + 0.5).astype(np.uint8)
    held = f"values from {array.min()} to {array.max()}" if array.size else "no pixels"
    raise UsageError(f"frame {index} holds {held} of type {array.dtype}: {_FORM}")


def _checked(frame: np.ndarray, index: int, size: tuple[int, int]) -> np.ndarray:
    if frame.shape[:2] != size:
        raise VosError(
            f"frame {index} is {frame.shape[1]} x {frame.shape[0]} pixels, the first one "
            f"{size[1]} x {size[0]}: all frames of a video have one size"
        )
    return frame


def as_array(value: Any) -> np.ndarray | None:
    """Return an array, or a tensor on any device, as a numpy array; None where it is neither.

    No library is imported for it: a tensor tells what it is.
    """
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        if "strided" not in str(tensor.layout):
            return None
        return np.asarray((tensor.float() if "bfloat16" in str(tensor.dtype) else tensor).numpy())
    if not hasattr(value, "__array__") and not hasattr(value, "__array_interface__"):
        return None
    with suppress(ValueError, TypeError):
        array = np.asarray(value)
        return None if array.dtype == object else array
    return None
