"""A data set in, a results folder out: resumable, sequence by sequence."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vos
from vos.datasets import Dataset, Sequence
from vos.errors import UsageError
from vos.files import read_json, write_json
from vos.machine import describe, versions
from vos.media import write_mask
from vos.pipeline import Stopwatch, segment
from vos.pipeline.prefetch import BackgroundWriter
from vos.progress import progress
from vos.propagation import PropagationConfig

if TYPE_CHECKING:
    from vos.backbones.inference import FeatureExtractor

RUN_FILE = "run.json"


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

    def open(self, *, overwrite: bool) -> None:
        """Start, or go on where an earlier run with the same settings stopped.

        Raises:
            UsageError: the folder holds something else, or a run with other settings.
        """
        path = self.folder / RUN_FILE
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"{self.folder} is a file: choose another --out")
        if overwrite:
            self._clear()
        elif path.exists():
            known = read_json(path)
            self._refuse_changes(known.get("settings", {}))
            self.seconds = known.get("sequences", {})
        elif self.folder.is_dir() and any(self.folder.iterdir()):
            raise UsageError(
                f"{self.folder} holds files of something else: choose another --out, "
                "or add --overwrite to start anew in it"
            )
        self.save()

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

    def _clear(self) -> None:
        """Remove what a run writes, and nothing else."""
        if not self.folder.is_dir():
            return
        for entry in self.folder.iterdir():
            if entry.is_dir() and all(file.suffix == ".png" for file in entry.iterdir()):
                shutil.rmtree(entry)
            elif entry.suffix in (".json", ".csv", ".html"):
                entry.unlink()

    def _refuse_changes(self, known: dict[str, Any]) -> None:
        wanted = self.settings.to_json()
        for name, value in wanted.items():
            if known.get(name) != value:
                raise UsageError(
                    f"{self.folder} holds a run with another {name} "
                    f"({_difference(known.get(name), value)}): choose another --out, "
                    "or add --overwrite to start anew"
                )


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


def _difference(known: Any, wanted: Any) -> str:
    if isinstance(known, dict) and isinstance(wanted, dict):
        changed = [name for name in wanted if known.get(name) != wanted[name]]
        return ", ".join(f"{name}: {known.get(name)}, now {wanted[name]}" for name in changed)
    return f"{known}, now {wanted}"
