"""Which files are images and which are videos, and the frames of a folder in their order.

Everything that looks into a folder asks here: what to propagate, evaluate, train on, check. Hidden
files (``.DS_Store``, ``._00000.png``) are never counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePath

from vos.errors import MissingError, VosError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".avif"}
    | {".ppm", ".pgm", ".pbm", ".pnm"}
)
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m2v", ".vob", ".ts"}
    | {".mts", ".m2ts", ".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".mxf", ".dv"}
    | {".gif", ".apng", ".y4m", ".h264", ".264", ".h265", ".265", ".hevc", ".ivf", ".mjpeg"}
)


def is_hidden(path: PurePath) -> bool:
    """Return whether a file is no business of its user: its name begins with a dot."""
    return path.name.startswith(".")


def is_image(path: PurePath) -> bool:
    """Return whether a file is an image by its name, and not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path)


def is_video(path: PurePath) -> bool:
    """Return whether a file is a video by its name, and not hidden."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not is_hidden(path)


def in_natural_order(paths: Iterable[Path]) -> list[Path]:
    """Return paths sorted by their names, numbers by value: 2 before 10."""
    return sorted(paths, key=lambda path: natural_key(path.name))


def natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return a sort key that orders the numbers in names by value: 2 before 10, 007 beside 7.

    >>> sorted(["f10.png", "f2.png"], key=natural_key)
    ['f2.png', 'f10.png']
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    key = [(0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts]
    return key, name


def videos_in(path: Path) -> list[Path]:
    """Return the videos of a folder of videos, in natural order; of any other path, itself.

    They are video files and folders of frames. A folder with images in it is one of frames.
    """
    if not path.is_dir() or _holds_images(path):
        return [path]
    entries = in_natural_order(entry for entry in path.iterdir() if not is_hidden(entry))
    return [entry for entry in entries if is_video(entry) or _holds_images(entry)] or [path]


def _holds_images(folder: Path) -> bool:
    return folder.is_dir() and any(is_image(entry) for entry in folder.iterdir())


def list_frames(folder: Path, *, leave_out: Iterable[Path] = ()) -> list[Path]:
    """List the images of a folder in natural order of their names, each name once.

    Args:
        leave_out: images that are no frames, by whatever path.

    Raises:
        MissingError: the folder holds no image.
        VosError: the folder cannot be read, or holds one frame in two formats.
    """
    try:
        images = (path for path in folder.iterdir() if is_image(path) and path.is_file())
        paths = in_natural_order(images)
    except OSError as error:
        raise VosError(f"cannot read {folder}: {error.strerror or error}") from error
    others = {path.resolve() for path in leave_out}
    paths = [path for path in paths if not (others and path.resolve() in others)]
    if not paths:
        known = " ".join(sorted(IMAGE_SUFFIXES))
        raise MissingError(
            f"{folder} holds no images: give a video file, or a folder of frames ({known})"
        )
    by_name: dict[str, Path] = {}
    for path in paths:
        known_as = by_name.setdefault(path.stem, path)
        if known_as is not path:
            raise VosError(
                f"{folder} holds both {known_as.name} and {path.name}: keep one image per frame"
            )
    return paths
