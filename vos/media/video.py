"""Opening a video: a file of any format FFmpeg reads, a folder of frames, frames in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from numbers import Integral
from pathlib import Path
from typing import Any

from vos.errors import MissingError, UsageError
from vos.files import as_path
from vos.media.frame_sequence import open_camera, open_frames, open_stream_at
from vos.media.images import open_pictures, picture_indices
from vos.media.listing import IMAGE_SUFFIXES, list_frames
from vos.media.picture_stack import PictureStack
from vos.media.video_base import FOLDER_FRAME_RATE, Video
from vos.media.video_file import VideoFile
from vos.media.video_folder import FrameFolder


def open_video(
    path: Path | str | Any,
    *,
    fps: float | Fraction | None = None,
    leave_out: Iterable[Path] = (),
) -> Video:
    """Open a video file, a folder of frames, a camera, or frames in memory.

    Args:
        path: a video file, a folder of images in natural order of their names, or one image with
            all the pictures that it holds (animated WebP or PNG, pages of a TIFF); an address
            (``rtsp://...``) or the number of a camera, which are read once, forwards; or frames in
            memory, as `vos.media.frame_sequence.open_frames` takes them. An opened video is
            returned as it is.
        fps: the rate to assume for images, which tell none (default 24). A file tells its own.
        leave_out: images of the folder that are no frames, such as masks that lie among them,
            by whatever path.

    Raises:
        MissingError: nothing there, or a folder without images.
        UsageError: ``fps`` is not positive, or this is no video.
        VosError: not a video, empty, truncated before its first frame, or images of several sizes.
    """
    if isinstance(path, Video):
        return path
    if fps is not None and not fps > 0:
        raise UsageError(f"a frame rate is positive, not {fps}")
    rate = FOLDER_FRAME_RATE if fps is None else Fraction(fps).limit_denominator(1001)
    if isinstance(path, Integral) and not isinstance(path, bool):
        return open_camera(int(path))
    if isinstance(path, str) and "://" in path:
        return open_stream_at(path)
    if not isinstance(path, str | os.PathLike):
        return open_frames(path, rate=rate)
    path = as_path(path, "the video")
    if path.is_dir():
        return FrameFolder(path, list_frames(path, leave_out=leave_out), rate)
    if not path.exists():
        raise MissingError(f"there is no video {path}: give a video file or a folder of frames")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        with open_pictures(path) as image:
            several = len(picture_indices(image)) > 1
        return PictureStack(path, rate) if several else FrameFolder(path, [path], rate)
    return VideoFile(path)
