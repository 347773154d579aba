"""A job over many videos: their names, what is done already, and a manifest of how each ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vos.errors import MissingError, UsageError, VosError
from vos.scheduling import Executor, Manifest, OpenWorker, Outcome, Task, run_tasks


def read_list(path: Path) -> list[Path]:
    """Videos named in a file, one path a line; empty lines and those that begin with # are none.

    Raises:
        MissingError: there is no such file.
        VosError: it cannot be read, or names no video.
    """
    if not path.is_file():
        raise MissingError(f"there is no list {path}: --list takes a file with one path a line")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise VosError(f"cannot read the list {path}: {error}") from error
    paths = [Path(line.strip()) for line in lines if line.strip() and line.lstrip()[0] != "#"]
    if not paths:
        raise VosError(f"the list {path} names no video")
    return paths


def named(videos: Iterable[Path]) -> dict[str, Path]:
    """Videos by the name of their results: that of the file without suffix, or of the folder.

    Raises:
        UsageError: two have one name, or there is none.
    """
    paths = list(videos)
    names = [path.name if path.is_dir() else path.stem for path in paths]
    if not names:
        raise UsageError("no video given: name some, or a --list of them")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise UsageError(f"{count} videos are named {name}, as their results would be: rename them")
    return dict(zip(names, (path.absolute() for path in paths), strict=True))


@dataclass(frozen=True)
class Collection:
    """What became of a job over many videos.

    Attributes:
        entries: of the manifest, of the videos that are done, in order.
        begun: how many were worked on; the others were done before.
        seconds: of this call.
    """

    entries: dict[str, dict[str, Any]]
    begun: int
    seconds: float
    outcome: Outcome


def run_collection(
    videos: Mapping[str, Path],
    payload: Callable[[str, Path], Any],
    open_worker: OpenWorker,
    engine: Executor,
    manifest: Manifest,
    *,
    result: Callable[[str], Path],
    description: str,
) -> Collection:
    """Do the task of every video that the manifest does not hold as done.

    Args:
        videos: absolute paths by name.
        payload: what the worker is to know of a video.
        result: a file that is there when the video of a name is done; one that was deleted is made
            again.

    Raises:
        VosError: some failed; all others are done, and the manifest says why.
    """
    todo = [name for name in videos if not (manifest.is_done(name) and result(name).exists())]
    start = time.perf_counter()
    outcome = run_tasks(
        [Task(name, payload(name, videos[name])) for name in todo],
        open_worker,
        engine,
        description=description,
        unit="video",
        on_end=manifest.note,
    )
    outcome.raise_failures("video", hint=f" (all of them in {manifest.path})")
    return Collection(
        entries={name: manifest.entries[name] for name in videos},
        begun=len(todo),
        seconds=time.perf_counter() - start,
        outcome=outcome,
    )
