"""A folder of images as a video."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from vos.errors import MissingError, VosError
from vos.media.images import IMAGE_SUFFIXES, image_size, read_image
from vos.media.video_base import Video


class FrameFolder(Video):
    """Images of one size, in natural order of their names (frame2 before frame10).

    Hidden files and files that are no images are passed over.

    Raises:
        VosError: no images, images of several sizes (the first odd one is named), or one frame in
            two formats.
    """

    def __init__(self, path: Path, frame_paths: list[Path], frame_rate: Fraction) -> None:
        self.path = path
        self.name = path.name if path.is_dir() else path.stem
        self.frame_paths = frame_paths
        self.frame_rate = frame_rate
        self.frame_count = len(frame_paths)
        self.height, self.width = _common_size(frame_paths)

    def count_frames(self) -> int:
        return len(self.frame_paths)

    def frame_name(self, index: int) -> str:
        if not 0 <= index < len(self.frame_paths):
            raise IndexError(f"{self.path} has no frame {index}")
        return self.frame_paths[index].stem

    def _read(self, start: int, stop: int | None) -> Iterator[np.ndarray]:
        for frame_path in self.frame_paths[start:stop]:
            frame = read_image(frame_path)
            if frame.shape[:2] != self.size:
                raise VosError(f"{frame_path} changed its size while the video was read")
            yield frame


def list_frames(folder: Path, *, leave_out: Iterable[Path] = ()) -> list[Path]:
    """List the images of a folder in natural order of their names, each name once.

    Args:
        leave_out: images that are no frames, by whatever path.

    Raises:
        MissingError: the folder holds no image.
        VosError: the folder cannot be read, or holds one frame in two formats.
    """
    try:
        paths = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
        ]
    except OSError as error:
        raise VosError(f"cannot read {folder}: {error.strerror or error}") from error
    others = {path.resolve() for path in leave_out}
    paths = [path for path in paths if not (others and path.resolve() in others)]
    if not paths:
        known = " ".join(sorted(IMAGE_SUFFIXES))
        raise MissingError(
            f"{folder} holds no images: give a video file, or a folder of frames ({known})"
        )
    paths.sort(key=lambda path: natural_key(path.name))
    by_name: dict[str, Path] = {}
    for path in paths:
        known_as = by_name.setdefault(path.stem, path)
        if known_as is not path:
            raise VosError(
                f"{folder} holds both {known_as.name} and {path.name}: keep one image per frame"
            )
    return paths


def natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """A sort key that orders the numbers in names by value: 2 before 10, 007 beside 7.

    >>> sorted(["f10.png", "f2.png"], key=natural_key)
    ['f2.png', 'f10.png']
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    key = [(0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts]
    return key, name


def _common_size(paths: list[Path]) -> tuple[int, int]:
    expected = image_size(paths[0])
    for path in paths[1:]:
        height, width = image_size(path)
        if (height, width) != expected:
            raise VosError(
                f"{path} is {width} x {height} pixels, but {paths[0].name} is "
                f"{expected[1]} x {expected[0]}: all frames of a video have one size"
            )
    return expected
