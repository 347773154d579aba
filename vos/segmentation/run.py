"""`vos propagate`: one video, or many, each into a folder of masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vos.errors import MissingError, VosError
from vos.media import Video
from vos.progress import progress
from vos.propagation import PropagationConfig
from vos.runs.folder import RECORD, RunFolder
from vos.runs.job import Summary, named, part_record, run_job
from vos.runs.model import Model
from vos.runs.paths import Input, Output, check_paths
from vos.runs.source import files_of, video_input
from vos.scheduling import Executor, Task
from vos.segmentation.composites import Composites
from vos.segmentation.given_masks import MaskFile, find_masks, open_with_masks
from vos.segmentation.prompts import Prompt, prompted_masks
from vos.segmentation.to_files import (
    CONFIDENCE,
    OpenSegmenter,
    VideoJob,
    run_settings,
    segment_to_files,
)

if TYPE_CHECKING:
    import torch


def propagate_to_files(
    video: Path,
    masks: Sequence[MaskFile],
    out: Path,
    *,
    prompts: Sequence[Prompt] = (),
    composites: Composites | None = None,
    rle_file: Path | None = None,
    fill_boxes: bool = False,
    model: str,
    config: PropagationConfig,
    device: torch.device,
    precision: str = "auto",
    seed: int = 0,
    overwrite: bool = False,
) -> Summary:
    """Write the mask of every frame of a video to ``<out>/<frame>.png``; see `segment_to_files`.

    Args:
        prompts: points and boxes on objects of frames, beside masks or without any.
        composites: videos to be made of frames and masks.
        fill_boxes: take boxes in files of annotations for masks.

    Returns:
        A summary with one result, under the name of the video.

    Raises:
        UsageError: an unknown model or precision, an output that is an input, a mask or a prompt
            that does not fit, or a folder that holds something else.
        MissingError: the video, a mask or the weights are not there.
        VosError: the video breaks; the masks of the frames before stay.
    """
    chosen = Model.choose(model, seed=seed, precision=precision).resolved(device)
    opened, read, files, names = open_with_masks(video, masks, fill_boxes=fill_boxes)

    def with_prompted() -> tuple[Video, dict[int, np.ndarray]]:
        if not prompts:
            return opened, read
        found = prompted_masks(opened, prompts, chosen.extractor(device, 1), read)
        return opened, {**read, **found}

    job = VideoJob(
        with_prompted,
        out,
        composites=composites or Composites(),
        rle=rle_file,
        names=names,
        confidence=True,
        overwrite=overwrite,
    )
    job.check()
    check_paths(
        [
            video_input(video, opened),
            *(Input("a mask", path) for path in files),
            *job.composites.inputs(),
            *chosen.inputs(),
        ],
        [
            Output("the masks", out, folder=True),
            Output("the record of the run", out / RECORD),
            Output("the confidence", out / CONFIDENCE),
            *job.outputs(),
        ],
    )
    with progress(total=opened.frame_count, description="segmenting") as bar:
        result = segment_to_files(
            job,
            chosen,
            config,
            lambda frames: chosen.extractor(device, frames),
            advance=bar.update,
        )
    return Summary({opened.name: result}, 1, result["computed"], result["seconds"])


def propagate_many(
    videos: Sequence[Path],
    masks: Path,
    out: Path,
    *,
    composites: Composites | None = None,
    rles: Path | None = None,
    model: str,
    config: PropagationConfig,
    executor: Executor,
    precision: str = "auto",
    seed: int = 0,
    overwrite: bool = False,
) -> Summary:
    """Write the masks of every frame of every video to ``<out>/<video>/<frame>.png``.

    Videos that a former run with the same settings finished are not done again; those that failed
    are tried again. How each ended is in ``<out>/manifest.jsonl``.

    Args:
        masks: a folder with ``<video>.png`` (of the first frame) or ``<video>/<frame>.png``.
        composites: videos to be made of frames and masks, of each kind in a folder.
        rles: a folder for the run lengths of each video.

    Raises:
        UsageError: two videos of one name, an unknown model, an output that is an input, or
            ``out`` holds another job.
        VosError: some videos failed; all others are done.
    """
    if not masks.is_dir():
        raise MissingError(
            f"there is no folder {masks}: `masks` holds VIDEO.png or VIDEO/FRAME.png"
        )
    paths = named(videos)
    chosen = Model.choose(model, seed=seed, precision=precision).resolved(executor.device)
    out, masks = out.absolute(), masks.absolute()
    shown = composites or Composites()
    jobs = {
        name: VideoJob(
            partial(_open_found, path, masks),
            out / name,
            composites=shown.of_video(name),
            rle=rles.absolute() / f"{name}.json" if rles else None,
            confidence=True,
            overwrite=overwrite,
            reads=partial(_files, path, masks),
        )
        for name, path in paths.items()
    }
    next(iter(jobs.values())).check()
    check_paths(
        [
            *map(video_input, paths.values()),
            Input("the given masks", masks),
            *shown.inputs(),
            *chosen.inputs(),
        ],
        [
            Output("the masks", out, folder=True),
            Output("the record of the run", out / RECORD),
            *(Output(f"the masks of {name}", job.out, folder=True) for name, job in jobs.items()),
            *(Output(f"the confidence of {name}", jobs[name].out / CONFIDENCE) for name in jobs),
            *(each for job in jobs.values() for each in job.outputs()),
        ],
    )
    settings = {"command": "propagate", "masks": str(masks), **run_settings(chosen, config)}
    folder = RunFolder.open(out, settings, overwrite=overwrite)
    for name in jobs:
        jobs[name] = replace(jobs[name], record=part_record(folder, name))
        folder.part(jobs[name].out, part_record(folder, name))
    summary = run_job(
        [Task(name, job) for name, job in jobs.items()],
        OpenSegmenter(folder.record, chosen, config),
        executor,
        folder,
        is_done=lambda name: is_written(jobs[name], folder.items[name]),
        description="segmenting",
        unit="video",
    )
    summary.raise_failures("video", hint=f" (all of them in {folder.record})")
    return summary


def is_written(job: VideoJob, known: Mapping[str, Any]) -> bool:
    """Tell whether the results of a job that was done are still there, and are what is wanted.

    Where a file that it reads was replaced, the job itself says what is another one.

    Args:
        known: what `segment_to_files` returned.
    """
    made = known.get("composites", {})
    same = known.get("stamp") == job.stamp()
    same = same and all(made.get(kind) == how for kind, how in job.composites.made().items())
    there = all(path.is_file() for path in job.files())
    return same and there and job.out.is_dir() and len(_masks(job.out)) >= known["frames"]


def _masks(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.png") if not path.name.startswith(".")]


def _files(video: Path, masks: Path) -> list[Path]:
    """Return the files of a video and of its masks, where there are some: else the job says so."""
    files = files_of(video)
    with suppress(VosError):
        files += [mask.path for mask in find_masks(masks, video)]
    return files


def _open_found(video: Path, masks: Path) -> tuple[Video, dict[int, np.ndarray]]:
    given = open_with_masks(video, find_masks(masks, video))
    return given.video, given.masks
