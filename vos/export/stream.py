"""Features of a video, computed when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from vos.errors import UsageError, VosError
from vos.export.format import FORMAT
from vos.export.geometry import Geometry
from vos.export.model import ExportModel
from vos.media import Video
from vos.media.background import prefetch
from vos.propagation.frame_size import resize_frame
from vos.runs.source import fingerprint
from vos.version import __version__

PRECISIONS: dict[str, np.dtype] = {"float16": np.dtype(np.float16), "float32": np.dtype(np.float32)}
_FLOAT16_LIMIT = 65504


@dataclass(frozen=True)
class FeatureStream:
    """Features of every ``every``-th frame of a video.

    Args:
        video: opened.
        model: runs on its frames.
        every: 1 takes all frames, n takes 0, n, 2 n, ...
        resolution: short side in pixels at which the backbone sees the frames; None keeps theirs.
        precision: ``float16`` or ``float32``.
        seed: that decided random weights.

    Raises:
        UsageError: a choice that makes no sense.
    """

    video: Video
    model: ExportModel
    every: int = 1
    resolution: int | None = None
    precision: str = "float16"
    seed: int = 0

    def __post_init__(self) -> None:
        check_choices(self.every, self.resolution, self.precision)

    @cached_property
    def frame_indices(self) -> np.ndarray:
        """(T,) int64 frame numbers of the source."""
        return np.arange(0, self.video.count_frames(), self.every, dtype=np.int64)

    @cached_property
    def times(self) -> np.ndarray:
        """(T,) float64 seconds at which the frames are shown, the first of the video at 0."""
        return self.video.frame_times()[self.frame_indices]

    @cached_property
    def geometry(self) -> Geometry:
        height, width = self.video.size
        scale = self.resolution / min(height, width) if self.resolution else 1.0
        seen = (max(1, round(height * scale)), max(1, round(width * scale)))
        stride = self.model.extractor.stride
        grid = (-(-seen[0] // stride), -(-seen[1] // stride))
        return Geometry((height, width), seen, grid, stride, self.model.centre)

    @property
    def dtype(self) -> np.dtype:
        return PRECISIONS[self.precision]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, C, h, w)"""
        return (len(self.frame_indices), self.model.extractor.channels, *self.geometry.grid)

    @property
    def bytes_per_frame(self) -> int:
        return int(np.prod(self.shape[1:])) * self.dtype.itemsize

    def description(self) -> dict[str, Any]:
        """Return what goes with the array: plain values for JSON."""
        geometry = self.geometry
        return {
            "format": FORMAT,
            "version": __version__,
            "source": str(self.video.path.resolve()),
            "size": list(geometry.size),
            "fps": self.video.fps,
            "every": self.every,
            "model": self.model.model.spec,
            "seed": self.seed,
            "weights_sha256": self.model.model.digest,
            "normalisation": self.model.normalisation,
            "input_size": list(geometry.input_size),
            "stride": geometry.stride,
            "token_centre": geometry.centre,
            "precision": self.precision,
        }

    def settings(self) -> dict[str, Any]:
        """Return what decides the features; the same names may stand for other files later."""
        return {
            "command": "export",
            **self.description(),
            "video content": fingerprint(self.video),
            "shape": list(self.shape),
        }

    def read(self, start: int, stop: int) -> Iterator[np.ndarray]:
        """Yield features number ``start`` to ``stop`` (not included) of the chosen frames.

        The grouping into batches begins anew at ``start``, so that the same range gives the same
        bytes wherever a run began.

        Yields:
            (C, h, w) of ``dtype``.

        Raises:
            VosError: the video breaks or ends early, or a feature is too large for float16.
        """
        first, end = self.frame_indices[start], self.frame_indices[stop - 1] + 1
        frames = islice(self.video.read(int(first), int(end)), 0, None, self.every)
        size = self.geometry.input_size
        shown = prefetch(resize_frame(frame, size, "area") for frame in frames)
        at_once = 1 if self.model.extractor.device.type == "cpu" else 8
        count = 0
        while batch := list(islice(shown, at_once)):
            for feature in self.model.extractor(batch).cpu().numpy():
                yield self._as_stored(feature, start + count)
                count += 1
        if count < stop - start:
            raise VosError(
                f"{self.video.path} ends after {self.frame_indices[start] + count * self.every} "
                f"frames, though it claims {self.video.count_frames()}"
            )

    def _as_stored(self, feature: np.ndarray, number: int) -> np.ndarray:
        if self.dtype == np.float16 and not np.abs(feature).max() <= _FLOAT16_LIMIT:
            raise VosError(
                f"frame {self.frame_indices[number]} of {self.video.path} has features beyond "
                "the range of float16: use `precision='float32'`"
            )
        return feature.astype(self.dtype)


def check_choices(every: int, resolution: int | None, precision: str) -> None:
    """Raise UsageError for choices that make no sense, before anything is loaded."""
    if every < 1:
        raise UsageError(f"`every` takes 1 or more, not {every}")
    if resolution is not None and not 1 <= resolution <= 16384:
        raise UsageError(f"`resolution` takes a short side of 1 to 16384 pixels, not {resolution}")
    if precision not in PRECISIONS:
        raise UsageError(f"`precision` takes {' or '.join(PRECISIONS)}, not {precision!r}")
