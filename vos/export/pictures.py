"""Pictures of features: a contact sheet of some frames, or a video of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np

from vos.errors import UsageError
from vos.export.pca import fit_colours
from vos.export.reader import Features
from vos.export.sampling import spread
from vos.export.segments import check_clusters, fit_segments
from vos.export.similarity import Point, fit_similarity
from vos.media import Video, VideoWriter, contact_sheet, overlay, write_image
from vos.media.encodings import H264
from vos.media.listing import IMAGE_SUFFIXES
from vos.progress import progress

_SHEET_FRAMES = 12
_SHEET_COLUMNS = 4
_SHEET_WIDTH = 2400  # pixels at most

# number of the frame among the exported ones, (H, W, 3) uint8 frame -> picture
Painter = Callable[[int, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Pictures:
    """Files to draw, by suffix images (a contact sheet of 12 frames) or videos (all frames).

    Attributes:
        pca: frames beside the colours of their features.
        segments: frames tinted by ``clusters`` k-means clusters.
        similar: similarity to ``point``.
    """

    pca: Path | None = None
    segments: Path | None = None
    clusters: int = 6
    similar: Path | None = None
    point: Point | None = None

    def check(self) -> None:
        """Raise UsageError for what cannot be drawn, before the long work."""
        for path in self.paths:
            if path.suffix.lower() not in {*H264.suffixes, *IMAGE_SUFFIXES}:
                raise UsageError(f"a picture is a .png or a .mp4 file, not {path}")
        check_clusters(self.clusters)
        if (self.similar is None) != (self.point is None):
            raise UsageError("`similar=FILE` and `point=FRAME:X,Y` go together")

    @property
    def paths(self) -> list[Path]:
        return [path for path in (self.pca, self.segments, self.similar) if path is not None]

    def draw(self, features: Features, video: Video) -> list[Path]:
        """Draw all of them.

        Args:
            video: the one that the features were exported from.

        Raises:
            UsageError: the point lies outside the frame, or in a frame that was not exported.
            VosError: a file cannot be written.
        """
        if self.similar is not None and self.point is not None:
            similarity = fit_similarity(features, self.point)
            draw(self.similar, features, video, lambda t, f: similarity.paint(features, t, f))
        if self.pca is not None:
            colours = fit_colours(features)
            draw(
                self.pca, features, video, lambda t, f: side_by_side(f, colours.paint(features, t))
            )
        if self.segments is not None:
            segments = fit_segments(features, self.clusters)
            draw(
                self.segments, features, video, lambda t, f: overlay(f, segments.mask(features, t))
            )
        return self.paths


def draw(path: Path, features: Features, video: Video, paint: Painter) -> None:
    """Paint frames of a video into one file: a sheet of up to 12, or a video of all.

    Raises:
        VosError: the file cannot be written.
    """
    if path.suffix.lower() in H264.suffixes:
        _draw_video(path, features, video, paint)
        return
    chosen = spread(len(features), _SHEET_FRAMES)
    cells = [paint(t, video[int(features.frame_indices[t])]) for t in chosen]
    columns = min(_SHEET_COLUMNS, len(cells))
    width = min(cells[0].shape[1], _SHEET_WIDTH // columns)
    write_image(path, contact_sheet(cells, columns, cell_width=width))


def side_by_side(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return two pictures of one size as one, the second below a wide one and beside a tall one."""
    height, width = first.shape[:2]
    return np.concatenate([first, second], axis=0 if width > height else 1)


def _draw_video(path: Path, features: Features, video: Video, paint: Painter) -> None:
    every = int(features.attributes["every"])
    cells = _painted(islice(video, 0, None, every), paint)
    first = next(cells)
    bar = progress(chain([first], cells), total=len(features), description=path.name)
    with VideoWriter.like(path, video, size=first.shape[:2], every=every) as writer:
        for cell in bar:
            writer.write(cell)


def _painted(frames: Iterator[np.ndarray], paint: Painter) -> Iterator[np.ndarray]:
    return (paint(t, frame) for t, frame in enumerate(frames))
