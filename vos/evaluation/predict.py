"""A data set in, a results folder out: resumable, sequence by sequence."""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vos
from vos.datasets import Dataset, Sequence
from vos.errors import UsageError
from vos.files import remove, write_json
from vos.machine import describe, versions
from vos.media import write_mask
from vos.pipeline import Stopwatch, segment
from vos.pipeline.prefetch import BackgroundWriter
from vos.pipeline.run_file import RUN_FILE, read_run, refuse_changes
from vos.progress import progress
from vos.propagation import PropagationConfig

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

    def to_json(self) -> dict[str, Any]:
        """As plain values, the version of vos included."""
        return {**dataclasses.asdict(self), "version": vos.__version__}


class Run:
    """A results folder: masks of each sequence, and `run.json` with settings and timings."""

    def __init__(self, folder: Path, settings: RunSettings) -> None:
        self.folder = folder
        self.settings = settings
        self.seconds: dict[str, dict[str, float]] = {}

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
            if (self.folder / sequence.name).resolve() == sequence.mask_paths[0].parent.resolve():
                raise UsageError(
                    f"{self.folder} holds the true masks of {dataset.name}: choose another --out"
                )

    def _clear(self, dataset: Dataset) -> None:
        """Remove what an earlier run left, and nothing else."""
        patterns = [RUN_FILE, "metrics.json", "report.html", "global_results-*.csv"]
        patterns += ["per-sequence_results-*.csv"]
        patterns += [f"{glob.escape(sequence.name)}/*.png" for sequence in dataset]
        remove(path for pattern in patterns for path in self.folder.glob(pattern))

    def _clear_halves(self, dataset: Dataset) -> None:
        """Remove the files that a killed run was writing."""
        remove(
            path
            for sequence in dataset
            for path in self.folder.glob(f"{glob.escape(sequence.name)}/.*.png")
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
            },
        )

    def is_done(self, sequence: Sequence) -> bool:
        """Whether every mask of ``sequence`` is there."""
        paths = (mask_path(self.folder, sequence, i) for i in range(len(sequence)))
        return sequence.name in self.seconds and all(path.is_file() for path in paths)


def predict(
    dataset: Dataset, extractor: FeatureExtractor, run: Run, *, engine: str = "auto"
) -> None:
    """Write the masks of every sequence that ``run`` does not hold yet."""
    config = run.settings.config
    todo = [sequence for sequence in dataset.sequences if not run.is_done(sequence)]
    bar = progress(total=sum(map(len, todo)), description="segmenting")
    with bar, BackgroundWriter() as writer:
        for sequence in todo:
            bar.set_postfix_str(sequence.name, refresh=False)
            stopwatch = Stopwatch()
            with stopwatch("total"):
                frames = segment(
                    _frames(sequence),
                    {0: sequence.mask(0)},
                    extractor,
                    config,
                    engine=engine,
                    stopwatch=stopwatch,
                )
                for frame in frames:
                    path = mask_path(run.folder, sequence, frame.index)
                    writer.submit(write_mask, path, frame.mask)
                    bar.update()
                writer.wait()
            run.seconds[sequence.name] = {"frames": len(sequence), **stopwatch.seconds}
            run.save()


def mask_path(folder: Path, sequence: Sequence, index: int) -> Path:
    """Where the mask of a frame stands: `<folder>/<sequence>/<name of the frame>.png`."""
    return folder / sequence.name / f"{sequence.frame_paths[index].stem}.png"


def _frames(sequence: Sequence) -> Iterator[tuple[int, Any]]:
    for index in range(len(sequence)):
        yield index, sequence.frame(index)


def _timings(sequences: Any) -> dict[str, dict[str, float]]:
    """Seconds by stage of the sequences that are done, as `run.json` holds them."""
    if not isinstance(sequences, dict):
        return {}
    return {
        name: stages
        for name, stages in sequences.items()
        if isinstance(stages, dict) and isinstance(stages.get("total"), float | int)
    }
