"""`vos propagate` as a job: a video and mask files in; masks, overlay and run lengths out."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import vos
from vos.errors import UsageError
from vos.files import read_json, write_json
from vos.machine import device_name, peak_memory_mb
from vos.media import (
    RleWriter,
    Video,
    VideoWriter,
    object_ids,
    open_video,
    overlay,
    read_mask,
    read_palette_mask,
    write_mask,
)
from vos.pipeline.prefetch import BackgroundWriter
from vos.pipeline.stopwatch import Stopwatch
from vos.pipeline.stream import propagate
from vos.progress import progress
from vos.propagation import PropagationConfig

if TYPE_CHECKING:
    import torch

RUN_FILE = "run.json"


def parse_mask_options(options: Sequence[str]) -> dict[int, Path]:
    """``["first.png", "40:later.png"]`` as mask files by frame index.

    Raises:
        UsageError: two masks for one frame, or none at all.
    """
    masks: dict[int, Path] = {}
    for option in options:
        numbered = re.fullmatch(r"(\d+):(.+)", option)
        index, path = (int(numbered[1]), numbered[2]) if numbered else (0, option)
        if index in masks:
            raise UsageError(f"two masks for frame {index}: {masks[index]} and {path}")
        masks[index] = Path(path)
    if not masks:
        raise UsageError("no mask given: --mask FILE for the first frame, --mask 12:FILE for 12")
    return masks


def propagate_to_files(
    video: Path,
    mask_files: Mapping[int, Path],
    out: Path,
    *,
    overlay_file: Path | None = None,
    rle_file: Path | None = None,
    model: str,
    config: PropagationConfig,
    device: torch.device,
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the mask of every frame to ``out/<00000>.png``, then the overlay and the run lengths.

    Masks of a finished run with the same settings are used again, so that an overlay can be had
    later at little cost.

    Returns:
        frames, ids, seconds by stage, fps, peak_memory_mb, model, device, out.

    Raises:
        UsageError: a mask that does not fit the video, or a folder that holds something else.
        VosError: the video breaks; the masks of the frames before stay.
    """
    opened = open_video(video)
    masks = {index: read_mask(path, size=opened.size) for index, path in mask_files.items()}
    settings = _settings(opened, masks, model, seed, config)
    stopwatch = Stopwatch()
    frames = _finished_frames(out, settings, overwrite)
    computed = 0
    with stopwatch("total"):
        if frames is None:
            _start(out, overwrite)
            frames = computed = _write_masks(
                opened, masks, out, model, config, device, seed, stopwatch
            )
            write_json(out / RUN_FILE, {"settings": settings, "frames": frames})
        if overlay_file is not None:
            _write_overlay(opened, out, frames, overlay_file)
        if rle_file is not None:
            _write_rle(opened, out, frames, rle_file)
    seconds = {stage: round(spent, 3) for stage, spent in stopwatch.seconds.items()}
    return {
        "frames": frames,
        "ids": sorted({object_id for mask in masks.values() for object_id in object_ids(mask)}),
        "seconds": seconds,
        "fps": round(computed / seconds["total"], 3) if computed else 0.0,
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "model": model,
        "device": device_name(device),
        "out": str(out),
    }


def _settings(
    video: Video,
    masks: Mapping[int, np.ndarray],
    model: str,
    seed: int,
    config: PropagationConfig,
) -> dict[str, Any]:
    import hashlib

    digests = {str(i): hashlib.sha256(mask.tobytes()).hexdigest()[:12] for i, mask in masks.items()}
    return {
        "video": str(video.path.resolve()),
        "masks": digests,
        "model": model,
        "seed": seed,
        "config": dataclasses.asdict(config),
        "version": vos.__version__,
    }


def _finished_frames(out: Path, settings: dict[str, Any], overwrite: bool) -> int | None:
    """How many masks a finished run with these settings left in ``out``; None where none did."""
    if overwrite or not (out / RUN_FILE).is_file():
        return None
    known = read_json(out / RUN_FILE)
    if known.get("settings") != settings:
        raise UsageError(
            f"{out} holds the masks of another video, mask, model or setting: "
            "choose another --out, or add --overwrite"
        )
    frames = int(known["frames"])
    complete = all(_mask_path(out, index).is_file() for index in range(frames))
    return frames if complete else None


def _start(out: Path, overwrite: bool) -> None:
    if out.is_file():
        raise UsageError(f"{out} is a file: --out takes a folder")
    if not out.is_dir():
        return
    others = [p for p in out.iterdir() if not re.fullmatch(r"\d{5,}\.png|run\.json", p.name)]
    if others and not overwrite:
        raise UsageError(
            f"{out} holds other files ({others[0].name}): choose another --out, or --overwrite"
        )
    (out / RUN_FILE).unlink(missing_ok=True)
    for stale in out.glob("*.png"):
        if re.fullmatch(r"\d{5,}", stale.stem):
            stale.unlink()


def _write_masks(
    video: Video,
    masks: Mapping[int, np.ndarray],
    out: Path,
    model: str,
    config: PropagationConfig,
    device: torch.device,
    seed: int,
    stopwatch: Stopwatch,
) -> int:
    from vos.pipeline.stream import make_extractor

    extractor = make_extractor(model, str(device), seed=seed, frame_count=video.frame_count)
    stream = propagate(video, masks, model=extractor, preset=config, stopwatch=stopwatch)
    bar = progress(stream, total=video.frame_count, description="segmenting")
    last = -1
    with BackgroundWriter() as writer:
        for frame in bar:
            writer.submit(write_mask, _mask_path(out, frame.index), frame.mask)
            last = max(last, frame.index)
    return last + 1


def _write_overlay(video: Video, out: Path, frames: int, path: Path) -> None:
    pairs = zip(video, _masks(out, frames), strict=False)
    bar = progress(islice(pairs, frames), total=frames, description="overlay")
    with VideoWriter(path, fps=video.frame_rate, size=video.size) as writer:
        for frame, mask in bar:
            writer.write(overlay(frame, mask))


def _write_rle(video: Video, out: Path, frames: int, path: Path) -> None:
    with RleWriter(path, name=video.name, size=video.size, frame_count=frames) as writer:
        for index, mask in enumerate(progress(_masks(out, frames), total=frames)):
            writer.write(index, mask)


def _masks(out: Path, frames: int) -> Iterator[np.ndarray]:
    return (read_palette_mask(_mask_path(out, index)) for index in range(frames))


def _mask_path(out: Path, index: int) -> Path:
    return out / f"{index:05d}.png"
