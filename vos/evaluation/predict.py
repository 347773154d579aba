"""A data set in, a results folder out: resumable, sequence by sequence."""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vos.datasets import Dataset, Sequence
from vos.errors import UsageError
from vos.files import remove, write_json
from vos.machine import describe, versions
from vos.media import write_mask
from vos.media.background import BackgroundWriter
from vos.pipeline.remote import ModelChoice, check_shared
from vos.pipeline.run_file import RUN_FILE, read_run, refuse_changes
from vos.progress import Stopwatch
from vos.propagation import PropagationConfig
from vos.scheduling import Advance, Executor, OpenWorker, Outcome, Task, run_tasks
from vos.scheduling.tasks import Done, Failed
from vos.segmentation import segment
from vos.version import __version__

if TYPE_CHECKING:
    from vos.backbones.inference import FeatureExtractor


@dataclass(frozen=True)
class RunSettings:
    """What decides the masks of a run; two runs with equal settings give equal masks.

    ``weights`` is a digest: the same name may stand for other weights later.
    """

    dataset: str
    split: str
    model: str
    weights: str
    preset: str
    config: PropagationConfig
    device: str
    precision: str

    def to_json(self) -> dict[str, Any]:
        """As plain values, the version of vos included."""
        return {**dataclasses.asdict(self), "version": __version__}


class Run:
    """A results folder: masks of each sequence, and `run.json` with settings and timings.

    `run.json` is the manifest too: a sequence is done when its timings are in it; those that
    failed are there with the reason.
    """

    def __init__(self, folder: Path, settings: RunSettings, dataset: Dataset) -> None:
        self.folder = folder
        self.masks = folder / dataset.masks_folder
        self.settings = settings
        self.seconds: dict[str, dict[str, float]] = {}
        self.failures: dict[str, str] = {}  # of this call: those of calls before are tried again

    def open(self, dataset: Dataset, *, overwrite: bool) -> None:
        """Start, or go on where an earlier run with the same settings stopped.

        Raises:
            UsageError: the folder holds something else, or a run with other settings.
            VosError: its `run.json` is damaged, or cannot be written.
        """
        self._refuse_truth(dataset)
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"{self.folder} is a file: choose another --out")
        if overwrite:
            self._clear(dataset)
        elif (known := read_run(self.folder)) is not None:
            refuse_changes(self.folder, known["settings"], self.settings.to_json())
            self.seconds = _timings(known.get("sequences"))
            self._clear_halves(dataset)
        elif self.folder.is_dir() and any(self.folder.iterdir()):
            raise UsageError(
                f"{self.folder} holds files of something else: choose another --out, "
                "or add --overwrite to start anew in it"
            )
        self.save()

    def _refuse_truth(self, dataset: Dataset) -> None:
        for sequence in dataset:
            if (self.masks / sequence.name).resolve() == sequence.mask_paths[0].parent.resolve():
                raise UsageError(
                    f"{self.folder} holds the true masks of {dataset.name}: choose another --out"
                )

    def _clear(self, dataset: Dataset) -> None:
        """Remove what an earlier run left, and nothing else."""
        patterns = [RUN_FILE, "metrics.json", "report.html", "global_results-*.csv"]
        patterns += ["per-sequence_results-*.csv"]
        remove(path for pattern in patterns for path in self.folder.glob(pattern))
        masks = [f"{glob.escape(sequence.name)}/*.png" for sequence in dataset]
        remove(path for pattern in masks for path in self.masks.glob(pattern))

    def _clear_halves(self, dataset: Dataset) -> None:
        """Remove the files that a killed run was writing."""
        remove(
            path
            for sequence in dataset
            for path in self.masks.glob(f"{glob.escape(sequence.name)}/.*.png")
        )

    def save(self) -> None:
        """Write `run.json`."""
        write_json(
            self.folder / RUN_FILE,
            {
                "settings": self.settings.to_json(),
                "versions": versions(),
                "machine": describe(),
                "sequences": self.seconds,
                "failed": self.failures,
            },
        )

    def is_done(self, sequence: Sequence) -> bool:
        """Whether every mask of ``sequence`` is there."""
        paths = (mask_path(self.masks, sequence, i) for i in range(len(sequence)))
        return sequence.name in self.seconds and all(path.is_file() for path in paths)


class Segmenter:
    """A worker: segments a sequence into a results folder, from the masks that are given.

    Each mask is written whole, and the same bytes each time: a sequence may be begun, lost and
    begun again.
    """

    def __init__(
        self,
        folder: Path,
        config: PropagationConfig,
        extractor: FeatureExtractor,
        *,
        engine: str = "auto",
    ) -> None:
        self.folder = folder
        self.config = config
        self.extractor = extractor
        self.engine = engine

    def __call__(self, sequence: Sequence, advance: Advance) -> dict[str, Any]:
        """Frames, and seconds by stage."""
        stopwatch = Stopwatch()
        given = sequence.first_masks()
        first = min(given)
        with stopwatch("total"), BackgroundWriter() as writer:
            frames = segment(
                _frames(sequence, first),
                given,
                self.extractor,
                self.config,
                engine=self.engine,
                stopwatch=stopwatch,
            )
            for index in range(first):  # nothing is known before the first object begins
                blank = np.zeros(sequence.size, np.uint8)
                writer.submit(write_mask, mask_path(self.folder, sequence, index), blank)
                advance(1)
            for frame in frames:
                path = mask_path(self.folder, sequence, frame.index)
                writer.submit(write_mask, path, frame.mask)
                advance(1)
            writer.wait()
        return {"frames": len(sequence), **stopwatch.seconds}


@dataclass(frozen=True)
class OpenSegmenter:
    """Makes a `Segmenter` where it is to work.

    Attributes:
        run: the results folder, as an absolute path.
        masks: the folder of the masks in it.
    """

    run: Path
    masks: Path
    config: PropagationConfig
    model: ModelChoice

    def __call__(self, device: str) -> Segmenter:
        check_shared(self.run / RUN_FILE)
        return Segmenter(self.masks, self.config, self.model.extractor(device))


def predict(dataset: Dataset, open_worker: OpenWorker, run: Run, engine: Executor) -> Outcome:
    """Write the masks of every sequence that ``run`` does not hold yet.

    Raises:
        VosError: sequences could not be segmented; all others were.
    """
    todo = [sequence for sequence in dataset.sequences if not run.is_done(sequence)]

    def note(task: Task, event: Done | Failed, attempts: int) -> None:
        run.failures.pop(task.name, None)
        if isinstance(event, Done):
            run.seconds[task.name] = event.result
        else:
            run.failures[task.name] = str(event.error)
        run.save()

    outcome = run_tasks(
        [Task(sequence.name, _absolute(sequence), len(sequence)) for sequence in todo],
        open_worker,
        engine,
        description="segmenting",
        unit="frame",
        on_end=note,
    )
    outcome.raise_failures("sequence", hint="; the others are done")
    return outcome


def mask_path(folder: Path, sequence: Sequence, index: int) -> Path:
    """Where the mask of a frame stands: `<folder>/<sequence>/<name of the frame>.png`."""
    return folder / sequence.name / f"{sequence.frame_paths[index].stem}.png"


def _frames(sequence: Sequence, start: int) -> Iterator[tuple[int, Any]]:
    for index in range(start, len(sequence)):
        yield index, sequence.frame(index)


def _absolute(sequence: Sequence) -> Sequence:
    """Workers have working folders of their own."""
    return dataclasses.replace(
        sequence,
        frame_paths=tuple(path.absolute() for path in sequence.frame_paths),
        mask_paths=tuple(path.absolute() for path in sequence.mask_paths),
    )


def _timings(sequences: Any) -> dict[str, dict[str, float]]:
    """Seconds by stage of the sequences that are done, as `run.json` holds them."""
    if not isinstance(sequences, dict):
        return {}
    return {
        name: stages
        for name, stages in sequences.items()
        if isinstance(stages, dict) and isinstance(stages.get("total"), float | int)
    }
