"""What is chosen for an export, and where its features may go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vos.defaults import DEFAULT_MODEL
from vos.errors import UsageError
from vos.export import zarr_store
from vos.export.model import ExportModel
from vos.export.single_file import SUFFIXES
from vos.export.stream import FeatureStream, check_choices
from vos.media import Video


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
        """The features of a video."""
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
