"""Which process is at work on a run: of two at once each would take the other's files for foreign.

It is noted in the cache of vos, so it holds among the processes of a user on a machine. Where no
cache can be written nobody is refused.
"""

from __future__ import annotations

import hashlib
import os
import platform
import weakref
from contextlib import suppress
from pathlib import Path

import psutil

from vos.caches import cache_folder
from vos.errors import UsageError
from vos.machine import is_running


def be_alone(owner: object, place: Path, record: Path) -> None:
    """Note that this process is at work on the run of ``record``, for as long as ``owner`` lives.

    Raises:
        UsageError: another process is.
    """
    name = hashlib.sha256(os.fsencode(record.resolve())).hexdigest()[:32]
    note = cache_folder("runs") / f"{name}.at-work"
    own = psutil.Process()
    with suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        other = _at_work(note)
        if other is None:
            with note.open("x", encoding="utf-8") as file:
                file.write(f"{own.pid} {own.create_time()} {platform.node()}")
            weakref.finalize(owner, _remove, note, own.pid)
        elif other != own.pid:
            raise UsageError(
                f"process {other} is at work in {place}: wait until it is done, or choose another "
                "place"
            )


def _at_work(note: Path) -> int | None:
    """Return the process that a note names; the note of one that is no more is removed."""
    if not note.exists():
        return None
    try:
        process, began, machine = note.read_text(encoding="utf-8").split(maxsplit=2)
        if machine == platform.node() and is_running(int(process), float(began)):
            return int(process)
    except ValueError:  # damaged
        pass
    note.unlink(missing_ok=True)
    return None


def _remove(note: Path, process: int) -> None:
    if os.getpid() == process:  # not one that was forked off
        note.unlink(missing_ok=True)
