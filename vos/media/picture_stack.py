"""Several pictures in one image file as a video."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from vos.errors import VosError
from vos.media.images import deep_values, open_pictures, picture_indices, rgb_of, upright_size
from vos.media.tones import Tones
from vos.media.video_base import FOLDER_FRAME_RATE, Video

_TOO_SHORT = 0.011  # seconds; browsers show what claims less for a tenth of a second
_DEFAULT_DURATION = 0.1


class PictureStack(Video):
    """The pictures of an animated WebP, PNG or AVIF at their times, or the pages of a TIFF.

    Args:
        path: the image file.
        frame_rate: that of pages, which have no times; a single picture is a stack of one.

    Raises:
        VosError: not an image, or damaged.
    """

    def __init__(self, path: Path, frame_rate: Fraction = FOLDER_FRAME_RATE) -> None:
        self.path = path
        self.name = path.stem
        with open_pictures(path) as image:
            self._indices = picture_indices(image)
            self.height, self.width = upright_size(image)
            self._timed = image.format != "TIFF"
        self.frame_count = len(self._indices)
        self._page_rate = frame_rate
        self._tones = Tones(len(self._indices), self._deep_values)

    @property
    def frame_rate(self) -> Fraction:  # type: ignore[override]
        if not self._timed:
            return self._page_rate
        return Fraction(len(self._indices) / sum(self._durations)).limit_denominator(1001)

    def count_frames(self) -> int:
        return len(self._indices)

    def frame_times(self) -> np.ndarray:
        if not self._timed:
            return super().frame_times()
        return np.cumsum([0.0, *self._durations[:-1]])

    @cached_property
    def _durations(self) -> list[float]:
        """Seconds that each picture is shown."""
        durations = []
        with open_pictures(self.path) as image:
            for index in self._indices:
                image.seek(index)
                image.load()
                seconds = float(image.info.get("duration") or 0) / 1000
                durations.append(seconds if seconds >= _TOO_SHORT else _DEFAULT_DURATION)
        return durations

    def _read(self, start: int, stop: int | None) -> Iterator[np.ndarray]:
        with open_pictures(self.path) as image:
            for index in self._indices[start:stop]:
                frame = rgb_of(self.path, self._at(image, index), tones=self._tones)
                if frame.shape[:2] != self.size:
                    raise VosError(f"{self.path} changes its frame size at picture {index}")
                yield frame

    def _deep_values(self, number: int) -> np.ndarray | None:
        with open_pictures(self.path) as image:
            return deep_values(self.path, self._at(image, self._indices[number]))

    def _at(self, image: Image.Image, index: int) -> Image.Image:
        image.seek(index)
        return image
