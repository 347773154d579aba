"""A folder of images as a video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from vos.errors import VosError
from vos.media.images import image_size, read_image, tones_of
from vos.media.video_base import Video


class FrameFolder(Video):
    """Images of one size, in the given order; those of more than 8 bits share one scale.

    Raises:
        VosError: images of several sizes (the first odd one is named), or one that holds several
            pictures.
    """

    def __init__(self, path: Path, frame_paths: Sequence[Path], frame_rate: Fraction) -> None:
        self.path = path
        self.name = path.name if path.is_dir() else path.stem
        self.frame_paths = list(frame_paths)
        self.frame_rate = frame_rate
        self.frame_count = len(frame_paths)
        self.height, self.width = _common_size(frame_paths)
        self._tones = tones_of(self.frame_paths)

    def count_frames(self) -> int:
        return len(self.frame_paths)

    def frame_name(self, index: int) -> str:
        if not 0 <= index < len(self.frame_paths):
            raise IndexError(f"{self.path} has no frame {index}")
        return self.frame_paths[index].stem

    def file_name(self, index: int) -> str:
        return self.frame_paths[index].name

    def _read(self, start: int, stop: int | None) -> Iterator[np.ndarray]:
        for frame_path in self.frame_paths[start:stop]:
            frame = read_image(frame_path, tones=self._tones)
            if frame.shape[:2] != self.size:
                raise VosError(f"{frame_path} changed its size while the video was read")
            yield frame


def _common_size(paths: Sequence[Path]) -> tuple[int, int]:
    expected = image_size(paths[0])
    for path in paths[1:]:
        height, width = image_size(path)
        if (height, width) != expected:
            raise VosError(
                f"{path} is {width} x {height} pixels, but {paths[0].name} is "
                f"{expected[1]} x {expected[0]}: all frames of a video have one size"
            )
    return expected
