"""`vos export` as a job: videos in, one store of features out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vos.errors import UsageError
from vos.export import zarr_store
from vos.export.model import ExportModel, load_model
from vos.export.single_file import SUFFIXES, SingleFile
from vos.export.stream import FeatureStream, check_choices
from vos.export.zarr_store import ZarrStore
from vos.machine import device_name, peak_memory_mb, resolve_device
from vos.media import Video, open_video
from vos.pipeline import Stopwatch
from vos.progress import progress

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ExportSettings:
    """What to export; see `FeatureStream` and `load_model` for the meaning."""

    model: str = "icon-resnet18"
    every: int = 1
    layer: int | None = None
    resolution: int | None = None
    precision: str = "float16"
    seed: int = 0


def export_features(
    videos: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    device: str = "auto",
    overwrite: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """`vos export` in Python.

    Args:
        videos: one or several video files or folders of frames.
        out: ``PATH.zarr``, ``PATH.npz`` or ``PATH.safetensors``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        overwrite: start anew instead of going on where a run stopped.
        settings: fields of `ExportSettings`.

    Returns:
        The record of `run_export`; read the features with `vos.open_features(out)`.
    """
    paths = [videos] if isinstance(videos, str | Path) else videos
    target = resolve_device(device)
    plan = plan_export(
        [Path(path) for path in paths], Path(out), ExportSettings(**settings), target
    )
    return run_export(plan, Path(out), overwrite=overwrite)


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
    check_choices(settings.every, settings.resolution, settings.precision)
    _check_out(out, len(videos))
    opened = [open_video(path) for path in videos]
    targets = [out] if len(opened) == 1 else [out / name for name in _names(opened)]
    # All of them, though some may be finished: the choice of an engine must not depend on that.
    frames = sum(-(-video.count_frames() // settings.every) for video in opened)
    model = load_model(
        settings.model,
        layer=settings.layer,
        seed=settings.seed,
        device=device,
        frame_count=frames,
    )
    return {
        target: _stream(video, model, settings)
        for target, video in zip(targets, opened, strict=True)
    }


def run_export(
    plan: dict[Path, FeatureStream], out: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Write the features of a plan; what a former run finished is kept.

    Returns:
        videos (source, path, shape, frames, computed), frames, computed, bytes, seconds, fps,
        peak_memory_mb, model, weights_sha256, device, out.

    Raises:
        UsageError: ``out`` holds something else.
        VosError: a video breaks, or the disk is full; what was finished stays.
    """
    if overwrite and out.suffix == ".zarr":
        zarr_store.remove(out)
    if len(plan) > 1:
        zarr_store.start_collection(out)
    # All targets are looked at before the first is worked on.
    stores = [_store(target, stream, overwrite) for target, stream in plan.items()]
    stopwatch = Stopwatch()
    rows = []
    with stopwatch("total"):
        for store in stores:
            stream = store.stream
            bar = progress(store.write(), total=stream.shape[0], description=stream.video.name)
            rows.append(_row(store, computed=sum(1 for _ in bar)))
    seconds = stopwatch.seconds["total"]
    computed = sum(row["computed"] for row in rows)
    model = stores[0].stream.model
    return {
        "videos": rows,
        "frames": sum(row["frames"] for row in rows),
        "computed": computed,
        "bytes": sum(int(np.prod(row["shape"])) * stores[0].stream.dtype.itemsize for row in rows),
        "seconds": round(seconds, 3),
        "fps": round(computed / seconds, 3) if computed else 0.0,
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "model": model.spec,
        "weights_sha256": model.digest,
        "device": device_name(model.extractor.device),
        "out": str(out),
    }


def _stream(video: Video, model: ExportModel, settings: ExportSettings) -> FeatureStream:
    return FeatureStream(
        video,
        model,
        every=settings.every,
        resolution=settings.resolution,
        precision=settings.precision,
        seed=settings.seed,
    )


def _check_out(out: Path, videos: int) -> None:
    if out.suffix == ".zarr":
        zarr_store.import_zarr()
    elif out.suffix not in SUFFIXES:
        raise UsageError(f"--out takes PATH.zarr, PATH.npz or PATH.safetensors, not {out}")
    elif videos > 1:
        raise UsageError(f"a {out.suffix} file holds one video: choose --out PATH.zarr for several")


def _names(videos: Sequence[Video]) -> list[str]:
    names = [video.name for video in videos]
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise UsageError(f"{count} videos are named {name}: export them one by one, or rename them")
    return names


def _store(target: Path, stream: FeatureStream, overwrite: bool) -> ZarrStore | SingleFile:
    if target.suffix in SUFFIXES:
        return SingleFile(target, stream, overwrite=overwrite)
    return ZarrStore(target, stream)


def _row(store: ZarrStore | SingleFile, computed: int) -> dict[str, Any]:
    stream = store.stream
    return {
        "source": str(stream.video.path),
        "path": str(store.path),
        "shape": list(stream.shape),
        "frames": stream.shape[0],
        "computed": computed,
    }
