"""`vos export` as a job: videos in, one store of features out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vos.errors import UsageError, near_names
from vos.export.model import load_model
from vos.export.pictures import Pictures
from vos.export.reader import open_features
from vos.export.single_file import SUFFIXES
from vos.export.store import ExportSettings, check_out, export_stream, open_store
from vos.export.stream import FeatureStream
from vos.files import as_path
from vos.machine import device_name, resolve_device
from vos.media import open_video
from vos.runs.folder import RunFolder, record_beside
from vos.runs.job import Summary, named
from vos.runs.paths import Output, check_paths
from vos.runs.source import video_input
from vos.scheduling import Executor, LocalExecutor

if TYPE_CHECKING:
    import torch

__all__ = ["ExportSettings", "export_features", "plan_export", "run_export"]


def export_features(
    videos: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    device: str | torch.device = "auto",
    executor: Executor | None = None,
    overwrite: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """Write the dense features of videos, (T, C, h, w), with all that is needed to use them.

    >>> vos.export_features("clip.mp4", "clip.zarr", resolution=480)
    ...

    Args:
        videos: one or several video files or folders of frames.
        out: ``PATH.zarr``, ``PATH.npz`` or ``PATH.safetensors``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        executor: who does several videos (`vos.scheduling.choose_executor`); None does them here,
            one after another.
        overwrite: start anew instead of going on where a run stopped.
        settings: fields of `ExportSettings`: model, every, layer, resolution, precision, seed.

    Returns:
        The record of `run_export` or `export_many`; read the features with
        `vos.open_features(out)`, or ``out/NAME`` of several.

    Raises:
        UsageError: an unknown setting, model or device, a choice that makes no sense, ``out`` holds
            something else, or an output is an input.
        MissingError: no such video, or weights that cannot be had.
        VosError: a video cannot be read; what was finished stays.
    """
    target = resolve_device(str(device))
    known = [each.name for each in dataclasses.fields(ExportSettings)]
    for name in set(settings).difference(known):
        raise UsageError(f"unknown setting {name!r}: {near_names(name, known)}")
    chosen = ExportSettings(**settings)
    out = as_path(out, "out")
    if not isinstance(videos, list | tuple):
        plan = plan_export([as_path(videos, "a video")], out, chosen, target)
        return run_export(plan, out, overwrite=overwrite)
    from vos.export.many import export_many

    paths = [as_path(path, "a video") for path in videos]
    executor = executor or LocalExecutor(str(target))
    return export_many(paths, out, chosen, executor, overwrite=overwrite)


def plan_export(
    videos: Sequence[Path], out: Path, settings: ExportSettings, device: torch.device
) -> dict[Path, FeatureStream]:
    """Open the videos and the model; where the features of each video go, and what they are.

    One video goes to ``out`` itself. Several go to ``out/NAME``, groups of one zarr store.

    Raises:
        UsageError: a choice that makes no sense, or names that clash.
        MissingError: no such video, or weights that cannot be had.
        VosError: a video that cannot be read.
    """
    check_out(out, many=len(videos) > 1)
    settings.check()
    opened = {name: open_video(path) for name, path in named(videos).items()}
    # All of them, though some may be finished: the choice of a runtime must not depend on that.
    frames = sum(-(-video.count_frames() // settings.every) for video in opened.values())
    model = load_model(
        settings.model,
        layer=settings.layer,
        seed=settings.seed,
        device=device,
        frame_count=frames,
    )
    return {
        out / name if len(opened) > 1 else out: settings.stream(video, model)
        for name, video in opened.items()
    }


def run_export(
    plan: dict[Path, FeatureStream],
    out: Path,
    *,
    overwrite: bool = False,
    pictures: Pictures | None = None,
) -> dict[str, Any]:
    """Write the features of a plan of one video; what a former run finished is kept.

    What was written is recorded in ``<out>.manifest.jsonl``.

    Args:
        pictures: drawn from the features.

    Returns:
        videos (source, path, shape, frames, computed, bytes), the figures of `Summary`, computed,
        bytes, model, weights_sha256, device, out; and pictures, where there are some.

    Raises:
        UsageError: ``out`` holds something else, or an output is an input.
        VosError: the video breaks, or the disk is full; what was finished stays.
    """
    (stream,) = plan.values()
    drawn = pictures.paths if pictures is not None else []
    model = stream.model.model
    check_paths(
        [video_input(stream.video.path, stream.video), *model.inputs()],
        [
            Output("the features", out, folder=out.suffix not in SUFFIXES),
            Output("the record of the run", record_beside(out)),
            *(Output("a picture", path) for path in drawn),
        ],
    )
    folder = RunFolder.open(out, stream.settings(), record=record_beside(out), overwrite=overwrite)
    folder.check(drawn)
    start = time.perf_counter()
    row = export_stream(open_store(out, stream, folder))
    seconds = {"total": time.perf_counter() - start}
    summary = Summary({stream.video.name: row}, 1, row["computed"], seconds)
    record = {
        "videos": [row],
        **summary.to_dict(),
        **{key: row[key] for key in ("computed", "bytes")},
        "model": model.spec,
        "weights_sha256": model.digest,
        "device": device_name(stream.model.extractor.device),
        "out": str(out),
    }
    if pictures is not None and drawn:
        with folder.writing(*drawn):
            pictures.draw(open_features(out), stream.video)
        record["pictures"] = [str(path) for path in drawn]
    return record
