"""What is chosen for an export, where its features may go, and one video into its store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vos.errors import UsageError
from vos.export import zarr_store
from vos.export.model import ExportModel
from vos.export.single_file import SUFFIXES, SingleFile
from vos.export.stream import FeatureStream, check_choices
from vos.export.zarr_store import ZarrStore
from vos.media import Video
from vos.progress import progress
from vos.runs.folder import RunFolder
from vos.settings import DEFAULT_MODEL


@dataclass(frozen=True)
class ExportSettings:
    """What to export; see `FeatureStream` and `choose_model` for the meaning."""

    model: str = DEFAULT_MODEL
    every: int = 1
    layer: int | None = None
    resolution: int | None = None
    precision: str = "float16"
    seed: int = 0

    def check(self) -> None:
        """Raise UsageError for choices that make no sense, before anything is loaded."""
        check_choices(self.every, self.resolution, self.precision)

    def stream(self, video: Video, model: ExportModel) -> FeatureStream:
        """Return the features of a video, computed when they are asked for."""
        return FeatureStream(
            video,
            model,
            every=self.every,
            resolution=self.resolution,
            precision=self.precision,
            seed=self.seed,
        )


def check_out(out: Path, *, many: bool) -> None:
    """See that features can go to a place of this name.

    Raises:
        UsageError: another suffix, or a single file for many videos.
        MissingError: zarr is not installed.
    """
    if out.suffix == ".zarr":
        zarr_store.import_zarr()
    elif out.suffix not in SUFFIXES:
        raise UsageError(f"`out` takes PATH.zarr, PATH.npz or PATH.safetensors, not {out}")
    elif many:
        raise UsageError(f"a {out.suffix} file holds one video: choose `out=PATH.zarr` for several")


def export_stream(store: ZarrStore | SingleFile) -> dict[str, Any]:
    """Compute and write what the store lacks; doing it twice does it once.

    Returns:
        source, path, shape, frames, computed (frames of this call), bytes.
    """
    stream = store.stream
    bar = progress(store.write(), total=stream.shape[0], description=stream.video.name)
    computed = sum(1 for _ in bar)
    return {
        "source": str(stream.video.path),
        "path": str(store.path),
        "shape": list(stream.shape),
        "frames": stream.shape[0],
        "computed": computed,
        "bytes": int(np.prod(stream.shape)) * stream.dtype.itemsize,
    }


def open_store(path: Path, stream: FeatureStream, folder: RunFolder) -> ZarrStore | SingleFile:
    """Open or make the store that a path names by its suffix.

    Args:
        folder: the record of what is written.
    """
    kind = SingleFile if path.suffix in SUFFIXES else ZarrStore
    return kind(path, stream, folder)
