"""Scoring a results folder: check all of it, then J and F of every object in every frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vos.datasets import Dataset
from vos.errors import VosError
from vos.evaluation.parallel import run_jobs
from vos.evaluation.results import Task, only_first_masks, plan_scoring
from vos.evaluation.scores import ObjectScores, Scores
from vos.metrics import score_frame
from vos.progress import progress

LARGER_THAN_MASKS = 1 << 24  # bytes; above 32 MiB the C library would not learn from it


def score_results(results: Path, dataset: Dataset, *, workers: int | None = None) -> Scores:
    """Score a folder of predicted masks like the official semi-supervised DAVIS evaluation.

    The figures are those of davis2017-evaluation: the first and last frame are left out, an
    object that is in neither the truth nor the prediction of a frame scores 1, the objects are
    all ids from 1 to the highest of frame 0. Void pixels of the truth (255) count for nothing.
    Where objects begin at any time (YouTube-VOS), each is scored on all annotated frames behind the
    one in which it is given.

    Args:
        results: ``<results>/<sequence>/<frame>.png``, ids as in the first true mask; for binary
            data sets the object may be 1 or 255.
        dataset: the truth; all its sequences are scored.
        workers: processes to use; None takes one per processor.

    Raises:
        InvalidResultsError: a frame is missing, is not a mask of the right size, or holds an id
            that the first true mask lacks. Nothing is scored then.
        MissingError: the data set lacks the truth of a frame.
        VosError: a sequence is too short, or no sequence has an object.
    """
    started = time.perf_counter()
    tasks = plan_scoring(Path(results), dataset)
    if not any(task.objects for task in tasks):
        raise VosError(_nothing_to_score(dataset))
    checks: list[Callable[[], Any]] = [
        partial(task.check, index) for task in tasks for index in range(len(task.result_paths))
    ]
    frames: list[Callable[[], Any]] = [
        partial(_score_frame, task, index) for task in tasks for index in task.scored_frames
    ]
    _keep_freed_memory()
    done = iter(
        progress(
            run_jobs([*checks, *frames], workers),
            total=len(checks) + len(frames),
            description="scoring",
            unit="mask",
        )
    )
    for _ in checks:
        next(done)
    objects = [each for task in tasks for each in _collect(task, done)]
    return Scores(
        objects=tuple(objects),
        split=dataset.split,
        masks=len(checks),
        seconds=time.perf_counter() - started,
    )


def _nothing_to_score(dataset: Dataset) -> str:
    if only_first_masks(dataset) or any(sequence.begins for sequence in dataset):
        return (
            f"nothing to score: {dataset.name} {dataset.split} has masks only where objects begin; "
            "the truth is with the official server"
        )
    return f"nothing to score: no first mask of {dataset.name} holds an object"


def _keep_freed_memory() -> None:
    """Make the C library reuse the memory of masks instead of giving it back after each one.

    The GNU C library returns blocks as large as a mask to the system at once, and getting them
    again costs more than unpacking a mask does. Freeing one larger block raises the size from
    which it does so (M_MMAP_THRESHOLD in mallopt(3)); elsewhere this does nothing.
    """
    np.empty(LARGER_THAN_MASKS, np.uint8)


def _score_frame(task: Task, index: int) -> tuple[np.ndarray, np.ndarray]:
    """J and F, each (K,), of the objects of one frame."""
    return score_frame(task.truth(index), task.result(index), task.objects)


def _collect(task: Task, frames: Iterator[tuple[np.ndarray, np.ndarray]]) -> Iterator[ObjectScores]:
    """Take the frames of one sequence from the stream and turn them into scores by object."""
    indices = np.array(task.scored_frames)
    # (T, 2, K): frame, measure, object
    scores = np.array([next(frames) for _ in indices])
    for position, object_id in enumerate(task.objects):
        counts = indices > task.begins.get(object_id, 0)
        if counts.any():
            region, boundary = scores[counts, :, position].T
            yield ObjectScores(task.sequence, object_id, indices[counts], region, boundary)
