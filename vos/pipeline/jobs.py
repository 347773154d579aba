"""`vos propagate` as a job: a video and mask files in; masks, overlay and run lengths out."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vos.backbones import load, weights_digest
from vos.backbones.inference import FeatureExtractor, check_precision
from vos.errors import MissingError, UsageError
from vos.files import remove, write_json
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
from vos.media.background import BackgroundWriter
from vos.media.video_writer import VIDEO_SUFFIXES
from vos.pipeline.run_file import RUN_FILE, read_run, refuse_changes
from vos.progress import Stopwatch, progress
from vos.propagation import PropagationConfig
from vos.segmentation.marks import check_marks
from vos.segmentation.propagate import propagate
from vos.segmentation.segment import SegmentedFrame
from vos.version import __version__

if TYPE_CHECKING:
    import torch

# Masks (those half written too) and the record of a run: what --overwrite may delete.
_OURS = re.compile(r"\d{5,}\.png|\.\d{5,}\.\d+\.png|run\.json")


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


@dataclass(frozen=True)
class LoadedModel:
    """A backbone that is there: its name, the digest of its weights, its precision, its features.

    Attributes:
        extractor: gives the extractor for so many frames (None: nobody knows); it is asked for one
            only where there is something to do.
    """

    spec: str
    digest: str
    precision: str
    extractor: Callable[[int | None], FeatureExtractor]


def propagate_to_files(
    video: Path,
    mask_files: Mapping[int, Path],
    out: Path,
    *,
    overlay_file: Path | None = None,
    sound: bool = True,
    rle_file: Path | None = None,
    model: str,
    config: PropagationConfig,
    device: torch.device,
    precision: str = "float32",
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Load a model and carry masks with it; see `carry_to_files`.

    Returns:
        Its record, with model and device.

    Raises:
        UsageError: an unknown model or precision; and what `carry_to_files` raises.
    """
    check_precision(precision)
    backbone = load(model, seed=seed)
    loaded = LoadedModel(
        model,
        weights_digest(backbone),
        precision,
        lambda frames: FeatureExtractor(backbone, device, precision=precision, frame_count=frames),
    )
    record = carry_to_files(
        video,
        mask_files,
        out,
        loaded=loaded,
        config=config,
        overlay_file=overlay_file,
        sound=sound,
        rle_file=rle_file,
        overwrite=overwrite,
    )
    return {**record, "model": model, "device": device_name(device)}


def carry_to_files(
    video: Path,
    mask_files: Mapping[int, Path],
    out: Path,
    *,
    loaded: LoadedModel,
    config: PropagationConfig,
    overlay_file: Path | None = None,
    sound: bool = True,
    rle_file: Path | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the mask of every frame to ``out/<00000>.png``, then the overlay and the run lengths.

    Masks of a finished run with the same settings are used again, so that an overlay can be had
    later at little cost. A run is finished when ``run.json`` is there, which is written last.

    Returns:
        frames, ids, seconds by stage, fps, peak_memory_mb, out.

    Raises:
        UsageError: a mask that does not fit the video, an output that cannot be, or a folder that
            holds something else.
        MissingError: the video or a mask is not there.
        VosError: the video breaks; the masks of the frames before stay.
    """
    opened = open_video(video, leave_out=mask_files.values())
    masks = {index: _read_mask(path, opened) for index, path in mask_files.items()}
    masks = check_marks(masks, opened)
    _check_outputs(out, overlay_file, rle_file)
    settings = _settings(opened, masks, loaded, config)
    stopwatch = Stopwatch()
    frames = _finished_frames(out, settings, overwrite)
    computed = 0
    with stopwatch("total"):
        if frames is None:
            _start(out, overwrite)
            extractor = loaded.extractor(opened.frame_count)
            stream = propagate(opened, masks, model=extractor, preset=config, stopwatch=stopwatch)
            frames = computed = _write_masks(stream, opened.frame_count, out)
            write_json(out / RUN_FILE, {"settings": settings, "frames": frames})
        if overlay_file is not None:
            _write_overlay(opened, out, frames, overlay_file, sound=sound)
        if rle_file is not None:
            _write_rle(opened, out, frames, rle_file)
    seconds = {stage: round(spent, 3) for stage, spent in stopwatch.seconds.items()}
    return {
        "frames": frames,
        "ids": sorted({object_id for mask in masks.values() for object_id in object_ids(mask)}),
        "seconds": seconds,
        "fps": round(computed / stopwatch.seconds["total"], 3),
        "peak_memory_mb": round(peak_memory_mb(), 1),
        "out": str(out),
    }


def _read_mask(path: Path, video: Video) -> np.ndarray:
    if not path.exists():
        raise MissingError(f"there is no mask {path}: --mask takes FILE, or FRAME:FILE")
    return read_mask(path, size=video.size)


def _check_outputs(out: Path, overlay_file: Path | None, rle_file: Path | None) -> None:
    """See before the work that its results can be told apart and written."""
    if overlay_file is not None and overlay_file.suffix.lower() not in VIDEO_SUFFIXES:
        raise UsageError(f"{overlay_file}: --overlay takes the name of a video, such as shown.mp4")
    for path in filter(None, (overlay_file, rle_file)):
        if path.is_dir():
            raise UsageError(f"{path} is a folder: give the name of a file")
    if rle_file is not None and rle_file.resolve() == (out / RUN_FILE).resolve():
        raise UsageError(f"{rle_file} is where the run is recorded: give --rle another name")


def _settings(
    video: Video,
    masks: Mapping[int, np.ndarray],
    loaded: LoadedModel,
    config: PropagationConfig,
) -> dict[str, Any]:
    """What decides the masks; the same names may stand for other files later."""
    digests = {str(i): hashlib.sha256(mask.tobytes()).hexdigest()[:12] for i, mask in masks.items()}
    return {
        "video": str(video.path.resolve()),
        "video content": _fingerprint(video.path),
        "mask": digests,
        "model": loaded.spec,
        "weights": loaded.digest,
        "precision": loaded.precision,
        "config": dataclasses.asdict(config),
        "version": __version__,
    }


def _fingerprint(path: Path) -> str:
    """Changes when a video file, or a file of a folder of frames, is replaced."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        digest.update(f"{file.name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:12]


def _finished_frames(out: Path, settings: dict[str, Any], overwrite: bool) -> int | None:
    """How many masks a finished run with these settings left in ``out``; None where none did."""
    known = None if overwrite else read_run(out)
    if known is None:
        return None
    refuse_changes(out, known["settings"], settings)
    frames = known.get("frames")
    if not isinstance(frames, int):
        return None
    complete = all(_mask_path(out, index).is_file() for index in range(frames))
    return frames if complete else None


def _start(out: Path, overwrite: bool) -> None:
    """Make room for masks in ``out``: those of a run that was stopped go."""
    if out.is_file():
        raise UsageError(f"{out} is a file: --out takes a folder")
    if not out.is_dir():
        return
    ours = [path for path in out.iterdir() if _OURS.fullmatch(path.name)]
    others = [path.name for path in out.iterdir() if path not in ours]
    if others and not overwrite:
        raise UsageError(
            f"{out} holds other files ({min(others)}): choose another --out, or --overwrite"
        )
    remove(ours)


def _write_masks(stream: Iterator[SegmentedFrame], count: int | None, out: Path) -> int:
    """Write the masks as they come; how many frames the video has."""
    last = -1
    with BackgroundWriter() as writer:
        for frame in progress(stream, total=count, description="segmenting"):
            writer.submit(write_mask, _mask_path(out, frame.index), frame.mask)
            last = max(last, frame.index)
    return last + 1


def _write_overlay(video: Video, out: Path, frames: int, path: Path, *, sound: bool) -> None:
    pairs = zip(video, _masks(out, frames), strict=False)
    bar = progress(islice(pairs, frames), total=frames, description="overlay")
    with VideoWriter.like(path, video, sound=sound) as writer:
        for frame, mask in bar:
            writer.write(overlay(frame, mask))


def _write_rle(video: Video, out: Path, frames: int, path: Path) -> None:
    with RleWriter(
        path,
        name=video.name,
        size=video.size,
        frame_count=frames,
        file_name=video.file_name,
    ) as writer:
        for index, mask in enumerate(progress(_masks(out, frames), total=frames)):
            writer.write(index, mask)


def _masks(out: Path, frames: int) -> Iterator[np.ndarray]:
    return (read_palette_mask(_mask_path(out, index)) for index in range(frames))


def _mask_path(out: Path, index: int) -> Path:
    return out / f"{index:05d}.png"
