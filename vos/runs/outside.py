"""Files that runs wrote outside their folders, such as an overlay where the user wanted it.

The record of the run owns them. Where the user removed the results and the record with them, such
a file is left over: nobody has changed it, and no record names it any more. So that it can be
replaced then, and nothing else can, all of them are listed once more, in the cache of vos. Without
that list a file that is left over is refused like any other.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from vos.caches import cache_folder
from vos.errors import VosError
from vos.runs.record import Stamp, append_lines, read_record


def list_outside(path: Path, stamp: Stamp, record: Path) -> None:
    """List a file by an absolute path, with the record of its run."""
    with suppress(VosError, OSError):  # a cache that cannot be written stops no work
        _list().parent.mkdir(parents=True, exist_ok=True)
        append_lines(_list(), {"file": str(path), "record": str(record), **vars(stamp)})


def is_left_over(path: Path) -> bool:
    """Tell whether a run wrote ``path`` that no record names now, and nobody has changed since."""
    try:
        lines = _list().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    for line in reversed(lines):
        with suppress(ValueError):
            match json.loads(line):
                case {
                    "file": str(name),
                    "record": str(record),
                    "size": int(size),
                    "mtime_ns": int(time),
                    "digest": str(digest),
                } if name == str(path):
                    ours = Stamp(size, time, digest).fits(path)
                    return ours and not _names(Path(record), path)
    return False


def _names(record: Path, path: Path) -> bool:
    """Tell whether a record, which may be that of another run by now, names a file."""
    try:
        _, lines = read_record(record) or ({}, [])
    except VosError:
        return True
    names = (line.get("file") for line in lines)
    return any(os.path.abspath(record.parent / str(name)) == str(path) for name in names)  # noqa: PTH100


def _list() -> Path:
    return cache_folder("runs") / "outside.jsonl"
