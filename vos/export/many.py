"""`vos export` over many videos: groups of one zarr store."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from vos.backbones.inference import ONNX_FRAMES
from vos.errors import VosError
from vos.export import zarr_store
from vos.export.model import ExportModel, choose_model
from vos.export.store import ExportSettings, check_out, export_stream, open_store
from vos.media import open_video
from vos.runs.folder import RunFolder, record_beside
from vos.runs.job import named, part_record, run_job
from vos.runs.model import Model, check_shared
from vos.runs.paths import Output, check_paths
from vos.runs.source import files_of, stamp, video_input
from vos.scheduling import Advance, Executor, Task
from vos.version import __version__

ROW = ("source", "path", "shape", "frames", "computed", "bytes")
FEW = 20  # videos, of which frames are counted; with more, a warm-up of the backbone always pays


class VideoJob(NamedTuple):
    """One video, the group of its features, its record, and whether to start it anew."""

    video: Path
    target: Path
    record: Path
    overwrite: bool

    def stamp(self) -> str:
        """Return a digest that changes when a file of the video is replaced."""
        return stamp(files_of(self.video))


class Exporter:
    """A worker: exports a video."""

    def __init__(self, model: ExportModel, settings: ExportSettings) -> None:
        self.model = model
        self.settings = settings

    def __call__(self, job: VideoJob, advance: Advance) -> dict[str, Any]:
        """Return source, path, shape, frames, computed, bytes, stamp of the job."""
        read = job.stamp()
        stream = self.settings.stream(open_video(job.video), self.model)
        folder = RunFolder.open(
            job.target, stream.settings(), record=job.record, overwrite=job.overwrite
        )
        return {**export_stream(open_store(job.target, stream, folder)), "stamp": read}


@dataclass(frozen=True)
class OpenExporter:
    """Makes an `Exporter` where it is to work."""

    record: Path
    settings: ExportSettings
    model: Model
    frame_count: int

    def __call__(self, device: str) -> Exporter:
        check_shared(self.record)
        return Exporter(ExportModel.open(self.model, device, self.frame_count), self.settings)


def export_many(
    videos: Sequence[Path],
    out: Path,
    settings: ExportSettings,
    executor: Executor,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the features of every video to the group ``out/NAME``.

    Finished videos are not done again, half finished ones go on, those that failed are tried
    again. How each ended is in ``<out>.manifest.jsonl`` beside ``out``.

    Returns:
        What `run_export` returns, and manifest.

    Raises:
        UsageError: a choice that makes no sense, two videos of one name, ``out`` holds something
            else, or an output is an input.
        VosError: some videos failed; all others are done.
    """
    paths = named(videos)
    check_out(out, many=True)
    settings.check()
    out = out.absolute()
    model = choose_model(settings.model, layer=settings.layer, seed=settings.seed)
    check_paths(
        [*map(video_input, paths.values()), *model.inputs()],
        [
            Output("the features", out, folder=True),
            Output("the record of the run", record_beside(out)),
            *(Output(f"the features of {name}", out / name, folder=True) for name in paths),
        ],
    )
    known = {
        "command": "export many",
        **dataclasses.asdict(settings),
        "weights": model.digest,
        "version": __version__,
    }
    folder = RunFolder.open(out, known, record=record_beside(out), overwrite=overwrite)
    zarr_store.start_collection(out, folder)
    jobs = {}
    for name, path in paths.items():
        jobs[name] = VideoJob(path, out / name, part_record(folder, name), overwrite)
        folder.part(jobs[name].target, jobs[name].record)
    summary = run_job(
        [Task(name, job) for name, job in jobs.items()],
        OpenExporter(folder.record, settings, model, _frames(paths.values())),
        executor,
        folder,
        is_done=lambda name: _is_written(jobs[name], folder.items[name]),
        description="exporting",
        unit="video",
    )
    summary.raise_failures("video", hint=f" (all of them in {folder.record})")
    rows = list(summary.results.values())
    return {
        "videos": [{key: row[key] for key in ROW} for row in rows],
        **summary.to_dict(),
        "computed": summary.computed,
        "bytes": sum(row["bytes"] for row in rows),
        "model": model.spec,
        "weights_sha256": model.digest,
        "device": executor.device,
        "out": str(out),
        "manifest": str(folder.record),
    }


def _is_written(job: VideoJob, known: Mapping[str, Any]) -> bool:
    """Tell whether the features of a video that was done are there, and its files are the same."""
    there = (job.target / zarr_store.ARRAY / "zarr.json").is_file()
    return there and known.get("stamp") == job.stamp()


def _frames(videos: Iterable[Path]) -> int:
    """About how many frames there are, for the choice of a runtime; reads the headers of a few."""
    paths = list(videos)
    if len(paths) > FEW:
        return ONNX_FRAMES
    frames = 0
    for path in paths:
        with suppress(VosError):  # which is named when its turn comes
            frames += open_video(path).frame_count or 0
    return frames
