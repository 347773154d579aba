"""The video of a run: the files that it is read from, and what tells that one was replaced."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from vos.errors import VosError
from vos.media import Video
from vos.media.listing import is_image, list_frames
from vos.media.video_folder import FrameFolder
from vos.runs.paths import Input


def frame_files(video: Video) -> list[Path]:
    """Return the files that the frames of a video are read from."""
    return list(video.frame_paths) if isinstance(video, FrameFolder) else [video.path]


def fingerprint(video: Video) -> str:
    """Return a digest that changes when the video, or a frame of a folder, is replaced.

    Other files of the folder do not count.
    """
    return stamp(frame_files(video))


def files_of(path: Path) -> list[Path]:
    """Return the files of a video that is not opened; none where opening it would fail."""
    with suppress(VosError):
        return list_frames(path) if path.is_dir() else [path]
    return []


def stamp(files: Iterable[Path]) -> str:
    """Return a digest that changes when one of the files is replaced, comes or goes."""
    digest = hashlib.sha256()
    for file in files:
        with suppress(OSError):
            status = file.stat()
            digest.update(os.fsencode(file.name))
            digest.update(f" {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:12]


def video_input(path: Path, video: Video | None = None) -> Input:
    """Return a video as an input; in a folder of frames, images alone would be read with it.

    Args:
        video: the opened video, so that its frames are known by whatever name.
    """
    files = tuple(frame_files(video)) if video is not None else ()
    return Input(f"the video {path.name}", path, takes=_is_image, files=files)


def _is_image(name: str) -> bool:
    return is_image(Path(name))
