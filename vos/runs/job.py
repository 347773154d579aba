"""A job of many items: those that are not done yet, on an executor, each noted in the record."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vos.errors import MissingError, UsageError, VosError
from vos.machine import peak_memory_mb
from vos.runs.folder import PARTS, RunFolder
from vos.scheduling import Executor, OpenWorker, Task, run_tasks
from vos.scheduling.tasks import Done, Failed


@dataclass(frozen=True)
class Summary:
    """What became of a job, for one video as for many.

    Attributes:
        results: what is known of every item that is done, in order: at least ``frames``.
        begun: how many items were worked on; the others were done before.
        computed: how many frames were, by this call.
        seconds: by stage of the work, all workers together; "total" is that of the call.
        failures: the reason of each item that failed.
        lost_workers: how many workers were lost on the way.
        peak_memory_mb: the largest of this process and of any worker.
    """

    results: dict[str, dict[str, Any]]
    begun: int
    computed: int
    seconds: dict[str, float]
    failures: dict[str, VosError] = field(default_factory=dict)
    lost_workers: int = 0
    peak_memory_mb: float = field(default_factory=peak_memory_mb)

    @property
    def frames(self) -> int:
        """Number of frames of all items that are done."""
        return sum(result["frames"] for result in self.results.values())

    @property
    def precision(self) -> str:
        """Precision of the network, or several of them where 8 bits were given up on the way."""
        return ", ".join(sorted({result["precision"] for result in self.results.values()}))

    @property
    def fps(self) -> float:
        """Frames per second of this call."""
        return self.computed / self.seconds["total"] if self.computed else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the figures that every command prints as JSON."""
        return {
            "frames": self.frames,
            "begun": self.begun,
            "seconds": {stage: round(spent, 3) for stage, spent in self.seconds.items()},
            "fps": round(self.fps, 3),
            "lost_workers": self.lost_workers,
            "peak_memory_mb": round(self.peak_memory_mb, 1),
        }

    def raise_failures(self, unit: str, *, hint: str = "") -> None:
        """Raise one error that names what failed; its exit code is that of a single failure.

        Raises:
            VosError: something failed.
        """
        if not self.failures:
            return
        errors = list(self.failures.values())
        if self.begun == 1:
            raise errors[0]
        shown = "; ".join(f"{name}: {error}" for name, error in list(self.failures.items())[:3])
        more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
        kind = type(errors[0]) if len(errors) == 1 else VosError
        raise kind(
            f"{len(errors)} of {self.begun} {unit}s failed: {shown}{more}{hint}"
        ) from errors[0]


def run_job(
    tasks: Sequence[Task],
    open_worker: OpenWorker,
    executor: Executor,
    folder: RunFolder,
    *,
    is_done: Callable[[str], bool],
    description: str,
    unit: str,
) -> Summary:
    """Do every task that is not done, and note in the record how each ended.

    Args:
        tasks: with names that differ.
        folder: takes the notes.
        is_done: whether what the task of a name makes is still there; asked only where the record
            says that it was done.
        description, unit: of the progress bar.
    """
    todo = [task for task in tasks if not (folder.is_done(task.name) and is_done(task.name))]
    start = time.perf_counter()
    outcome = run_tasks(
        todo,
        open_worker,
        executor,
        description=description,
        unit=unit,
        on_end=lambda task, event, attempts: _note(folder, task, event, attempts),
    )
    seconds: Counter[str] = Counter()
    for result in outcome.results.values():
        seconds.update(result.get("seconds", {}))
    seconds["total"] = time.perf_counter() - start  # type: ignore[assignment]
    return Summary(
        results={task.name: folder.items[task.name] for task in tasks if folder.is_done(task.name)},
        begun=len(todo),
        computed=sum(result["computed"] for result in outcome.results.values()),
        seconds=dict(seconds),
        failures=outcome.failures,
        lost_workers=outcome.lost_workers,
        peak_memory_mb=max(peak_memory_mb(), outcome.peak_memory_mb),
    )


def _note(folder: RunFolder, task: Task, event: Done | Failed, attempts: int) -> None:
    how = {"attempts": attempts, "worker": event.where}
    if isinstance(event, Done):
        folder.note(task.name, "done", **event.result, **how)
    else:
        folder.note(task.name, "failed", reason=str(event.error), **how)


def read_list(path: Path) -> list[Path]:
    """Return the videos named in a file, one path per line; empty lines and # lines are none.

    Raises:
        MissingError: there is no such file.
        VosError: it cannot be read, or names no video.
    """
    if not path.is_file():
        raise MissingError(
            f"there is no list {path}: `list_file` takes a file with one path a line"
        )
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    except OSError as error:
        raise VosError(f"cannot read the list {path}: {error}") from error
    paths = [Path(line.strip()) for line in lines if line.strip() and line.lstrip()[0] != "#"]
    if not paths:
        raise VosError(f"the list {path} names no video")
    return paths


def named(videos: Iterable[Path]) -> dict[str, Path]:
    """Map the names of results (file name without suffix, or folder name) to absolute paths.

    Raises:
        UsageError: two have one name, or there is none.
    """
    paths = [Path(path).absolute() for path in videos]
    names = [path.name if path.is_dir() else path.stem for path in paths]
    if not names:
        raise UsageError("no video given: name some, or a `list_file` of them")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise UsageError(f"{count} videos are named {name}, as their results would be: rename them")
    check_names(names)
    return dict(zip(names, paths, strict=True))


def check_names(names: Iterable[str]) -> None:
    """See that no item has the name of the folder of records.

    Raises:
        UsageError: one has.
    """
    if PARTS in names:
        raise UsageError(f"{PARTS} is the name of the folder of the records: rename that video")


def part_record(folder: RunFolder, name: str) -> Path:
    """Return where the record of an item is, beside that of its job."""
    return folder.parts / f"{name}.jsonl"
