"""The official DAVIS scorer, davis2017-evaluation, on the same results, where it is installed.

It is on no package index, so nothing here depends on it; it serves to show that the figures agree
and how long each takes.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vos.datasets import Dataset
from vos.errors import MissingError, VosError
from vos.evaluation.results import Task, plan_scoring
from vos.evaluation.scores import Scores
from vos.evaluation.tables import global_row
from vos.media.masks import write_mask

INSTALL = "pip install git+https://github.com/davisvideochallenge/davis2017-evaluation"


@dataclass(frozen=True)
class OfficialScores:
    """Figures of davis2017-evaluation.

    Attributes:
        row: the columns of ``vos.evaluation.tables.GLOBAL_COLUMNS``.
        objects: J mean and F mean by ``<sequence>_<id>``.
        seconds: time its evaluation took.
    """

    row: tuple[float, ...]
    objects: dict[str, tuple[float, float]]
    seconds: float

    def largest_difference(self, scores: Scores) -> float:
        """Largest absolute difference to our figures, over the averages and every object."""
        ours = {each.name: each for each in scores.objects}
        if ours.keys() != self.objects.keys():
            names = sorted(ours.keys() ^ self.objects.keys())
            raise VosError(f"the official scorer has other objects: {', '.join(names)}")
        differences = [abs(a - b) for a, b in zip(global_row(scores), self.row, strict=True)]
        for name, (region, boundary) in self.objects.items():
            differences.append(abs(ours[name].J_statistics.mean - region))
            differences.append(abs(ours[name].F_statistics.mean - boundary))
        return max(differences)


def require_official() -> None:
    """See that davis2017-evaluation can be imported.

    Raises:
        MissingError: it cannot; the message holds the command that installs it.
    """
    if importlib.util.find_spec("davis2017") is None:
        raise MissingError(f"the official scorer is not installed: {INSTALL}")


def score_official(results: Path, dataset: Dataset) -> OfficialScores:
    """Run davis2017-evaluation (semi-supervised) on a results folder that ``score_results`` takes.

    Raises:
        MissingError: it is not installed.
        VosError: it stopped with a message.
    """
    require_official()
    if any(sequence.begins for sequence in dataset):
        raise VosError(f"the official scorer is that of DAVIS, not of {dataset.name}")
    with tempfile.TemporaryDirectory(prefix="vos-official-") as folder:
        root = Path(folder)
        for task, sequence in zip(plan_scoring(results, dataset), dataset.sequences, strict=True):
            _stage(root, task, sequence.frame_paths)
        return _evaluate(root, dataset)


def _evaluate(root: Path, dataset: Dataset) -> OfficialScores:
    names = [sequence.name for sequence in dataset.sequences]
    said = io.StringIO()
    started = time.perf_counter()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            from davis2017.evaluation import DAVISEvaluation

            evaluation = DAVISEvaluation(str(root), "semi-supervised", "val", sequences=names)
            metrics = evaluation.evaluate(str(root / "results"))
    except ImportError as error:
        raise MissingError(f"the official scorer lacks a library ({error}): {INSTALL}") from error
    except SystemExit as error:
        raise VosError(f"the official scorer stopped: {said.getvalue().strip()}") from error
    seconds = time.perf_counter() - started
    region, boundary = metrics["J"], metrics["F"]
    means = [float(np.mean(each[key])) for each in (region, boundary) for key in ("M", "R", "D")]
    return OfficialScores(
        row=((means[0] + means[3]) / 2, *means),
        objects={
            name: (float(region["M_per_object"][name]), float(boundary["M_per_object"][name]))
            for name in region["M_per_object"]
        },
        seconds=seconds,
    )


def _stage(root: Path, task: Task, frames: tuple[Path, ...]) -> None:
    """Lay a sequence out as DAVIS-2017: it knows neither other layouts nor 0 / 255 masks."""
    lists = root / "ImageSets" / "2017"
    lists.mkdir(parents=True, exist_ok=True)
    (lists / "val.txt").touch()
    truth = root / "Annotations" / "480p" / task.sequence
    images = root / "JPEGImages" / "480p" / task.sequence
    results = root / "results" / task.sequence
    for folder in (truth, images, results):
        folder.mkdir(parents=True)
    for index, frame in enumerate(frames):
        name = f"{task.truth_paths[index].stem}.png"
        (images / f"{frame.stem}.jpg").symlink_to(frame.resolve())
        if task.binary:
            write_mask(truth / name, task.truth(index))
            write_mask(results / name, task.result(index))
        else:
            (truth / name).symlink_to(task.truth_paths[index].resolve())
            (results / name).symlink_to(task.result_paths[index].resolve())
