"""`vos export` as a job: videos in, one store of features out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vos.export import zarr_store
from vos.export.model import load_model
from vos.export.settings import ExportSettings, check_out
from vos.export.single_file import SUFFIXES, SingleFile
from vos.export.stream import FeatureStream
from vos.export.unit import export_stream
from vos.export.zarr_store import ZarrStore
from vos.machine import device_name, peak_memory_mb, resolve_device
from vos.media import open_video
from vos.pipeline.collection import named
from vos.progress import Stopwatch
from vos.scheduling import Executor, LocalExecutor

if TYPE_CHECKING:
    import torch

__all__ = ["ExportSettings", "export_features", "plan_export", "run_export"]


def export_features(
    videos: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    device: str = "auto",
    engine: Executor | None = None,
    overwrite: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """`vos export` in Python.

    Args:
        videos: one or several video files or folders of frames.
        out: ``PATH.zarr``, ``PATH.npz`` or ``PATH.safetensors``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        engine: who does several videos (`vos.scheduling.choose_executor`); None does them here, one
            after another.
        overwrite: start anew instead of going on where a run stopped.
        settings: fields of `ExportSettings`.

    Returns:
        The record of `run_export` or `export_many`; read the features with
        `vos.open_features(out)`, or ``out/NAME`` of several.
    """
    target = resolve_device(device)
    chosen = ExportSettings(**settings)
    if isinstance(videos, str | Path):
        return run_export(
            plan_export([Path(videos)], Path(out), chosen, target), Path(out), overwrite=overwrite
        )
    from vos.export.many import export_many

    paths = [Path(path) for path in videos]
    engine = engine or LocalExecutor(str(target))
    return export_many(paths, Path(out), chosen, engine, overwrite=overwrite)


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
    # All of them, though some may be finished: the choice of an engine must not depend on that.
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
    plan: dict[Path, FeatureStream], out: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Write the features of a plan of one video; what a former run finished is kept.

    Returns:
        videos (source, path, shape, frames, computed, bytes), frames, computed, bytes, seconds,
        fps, peak_memory_mb, model, weights_sha256, device, out.

    Raises:
        UsageError: ``out`` holds something else.
        VosError: the video breaks, or the disk is full; what was finished stays.
    """
    (stream,) = plan.values()
    if overwrite and out.suffix == ".zarr":
        zarr_store.remove(out)
    store = (
        SingleFile(out, stream, overwrite=overwrite)
        if out.suffix in SUFFIXES
        else ZarrStore(out, stream)
    )
    stopwatch = Stopwatch()
    with stopwatch("total"):
        row = export_stream(store)
    seconds = stopwatch.seconds["total"]
    return {
        "videos": [row],
        **{key: row[key] for key in ("frames", "computed", "bytes")},
        "seconds": round(seconds, 3),
        "fps": round(row["computed"] / seconds, 3),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "model": stream.model.spec,
        "weights_sha256": stream.model.digest,
        "device": device_name(stream.model.extractor.device),
        "out": str(out),
    }
