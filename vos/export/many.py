"""`vos export` over many videos: groups of one zarr store."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from vos.backbones.inference import ONNX_FRAMES
from vos.errors import VosError
from vos.export import zarr_store
from vos.export.model import ExportModel, load_model
from vos.export.settings import ExportSettings, check_out
from vos.export.unit import export_stream
from vos.export.zarr_store import ZarrStore
from vos.machine import peak_memory_mb
from vos.media import open_video
from vos.pipeline.collection import named, run_collection
from vos.pipeline.remote import absolute_spec, check_shared
from vos.scheduling import Advance, Executor, Manifest
from vos.version import __version__

ROW = ("source", "path", "shape", "frames", "computed", "bytes")
FEW = 20  # videos, of which frames are counted; with more, a warm-up of the backbone always pays


class VideoJob(NamedTuple):
    """One video, and the group of its features."""

    video: Path
    target: Path


class Exporter:
    """A worker: exports a video."""

    def __init__(self, model: ExportModel, settings: ExportSettings) -> None:
        self.model = model
        self.settings = settings

    def __call__(self, job: VideoJob, advance: Advance) -> dict[str, Any]:
        """source, path, shape, frames, computed, bytes."""
        stream = self.settings.stream(open_video(job.video), self.model)
        return export_stream(ZarrStore(job.target, stream))


@dataclass(frozen=True)
class OpenExporter:
    """Makes an `Exporter` where it is to work."""

    manifest: Path
    settings: ExportSettings
    spec: str
    digest: str
    frame_count: int

    def __call__(self, device: str) -> Exporter:
        check_shared(self.manifest)
        model = load_model(
            absolute_spec(self.settings.model),
            layer=self.settings.layer,
            seed=self.settings.seed,
            device=torch.device(device),
            frame_count=self.frame_count,
        )
        if model.digest != self.digest:
            raise VosError(f"{self.spec} has other weights here than where the job was started")
        return Exporter(dataclasses.replace(model, spec=self.spec), self.settings)


def export_many(
    videos: Sequence[Path],
    out: Path,
    settings: ExportSettings,
    engine: Executor,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the features of every video to the group ``out/NAME``.

    Finished videos are not done again, half finished ones go on, those that failed are tried
    again. How each ended is in ``NAME.manifest.jsonl`` beside ``out``.

    Returns:
        What `run_export` returns, with begun, lost_workers and manifest.

    Raises:
        UsageError: a choice that makes no sense, two videos of one name, or ``out`` holds
            something else.
        VosError: some videos failed; all others are done.
    """
    jobs = named(videos)
    check_out(out, many=True)
    settings.check()
    frames = _frames(jobs.values())
    model = load_model(
        settings.model,
        layer=settings.layer,
        seed=settings.seed,
        device=torch.device("cpu"),
        frame_count=frames,
    )
    if overwrite:
        zarr_store.remove(out)
    zarr_store.start_collection(out)
    out = out.absolute()
    known = {
        "command": "export",
        **dataclasses.asdict(settings),
        "weights": model.digest,
        "version": __version__,
    }
    manifest = Manifest.open(out.with_suffix(".manifest.jsonl"), known, overwrite=overwrite)
    resolved = dataclasses.replace(settings, model=absolute_spec(settings.model))
    done = run_collection(
        jobs,
        lambda name, video: VideoJob(video, out / name),
        OpenExporter(manifest.path, resolved, model.spec, model.digest, frames),
        engine,
        manifest,
        result=lambda name: out / name / zarr_store.ARRAY / "zarr.json",
        description="exporting",
    )
    rows = list(done.entries.values())
    computed = sum(row["computed"] for row in done.outcome.results.values())
    return {
        "videos": [{key: row[key] for key in ROW} for row in rows],
        "begun": done.begun,
        "frames": sum(row["frames"] for row in rows),
        "computed": computed,
        "bytes": sum(row["bytes"] for row in rows),
        "seconds": round(done.seconds, 3),
        "fps": round(computed / done.seconds, 3) if computed else 0.0,
        "lost_workers": done.outcome.lost_workers,
        "peak_memory_mb": round(max(peak_memory_mb(), done.outcome.peak_memory_mb), 1),
        "model": model.spec,
        "weights_sha256": model.digest,
        "device": engine.device,
        "out": str(out),
        "manifest": str(manifest.path),
    }


def _frames(videos: Iterable[Path]) -> int:
    """About how many frames there are, for the choice of an engine; reads the headers of a few."""
    paths = list(videos)
    if len(paths) > FEW:
        return ONNX_FRAMES
    frames = 0
    for path in paths:
        with suppress(VosError):  # which is named when its turn comes
            frames += open_video(path).frame_count or 0
    return frames
