"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from vos.errors import UsageError, VosError

_ADVICE = {
    errno.ENOSPC: "free some space, or choose a folder on another disk",
    errno.EDQUOT: "free some space, or choose a folder on another disk",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
}

BeforePlacing = Callable[[Path, Path], object]
_before_placing: ContextVar[BeforePlacing | None] = ContextVar("before_placing", default=None)


@contextmanager
def before_placing(call: BeforePlacing) -> Iterator[None]:
    """Call ``call(temporary, path)`` for each file of the block just before it has its name."""
    token = _before_placing.set(call)
    try:
        yield
    finally:
        _before_placing.reset(token)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and move it there when the block succeeds.

    The temporary file keeps the suffix of ``path``, so that libraries that choose a format by
    suffix work. It is removed when the block fails, whatever the reason. Its number is random: two
    machines that write one file to a disk they share do not meet.

    Raises:
        VosError: the folder cannot be made or written, or the disk is full.
    """
    temporary = path.with_name(f".{path.stem}.{secrets.randbelow(10**12)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        call = _before_placing.get()
        if call is not None:
            call(temporary, path)
        temporary.replace(path)
    except VosError:  # of the block: it says already what went wrong
        raise
    except OSError as error:
        raise VosError(f"cannot write {path}: {_reason(path, error)}") from error
    finally:
        with suppress(OSError):  # never hide why the block failed
            temporary.unlink()


def _reason(path: Path, error: OSError) -> str:
    """Why ``path`` could not be written, and what to do about it."""
    blocking = next((p for p in path.parents if p.exists() and not p.is_dir()), None)
    if blocking is not None:  # the system calls this "File exists"
        return f"{blocking} is a file, not a folder"
    reason = error.strerror or str(error)
    return f"{reason}: {_ADVICE[error.errno]}" if error.errno in _ADVICE else reason


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically.

    Names of files need not be UTF-8: their other bytes are written as ``\\udcXX``, which JSON reads
    back as the same name.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def check_new_folder(folder: Path, what: str) -> None:
    """See that a folder can be made for ``what``: that it is not there, or holds nothing that a
    person sees.

    Raises:
        UsageError: there is something.
    """
    if folder.is_symlink() and not folder.exists():
        raise UsageError(f"{folder} is a link to nowhere: choose another folder for {what}")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: choose a folder for {what}")
    held = [path.name for path in folder.iterdir()] if folder.exists() else []
    seen = [name for name in held if not name.startswith(".")]
    if seen:
        raise UsageError(
            f"{folder} exists already, and holds {min(seen)}: choose a new or empty folder for "
            f"{what}"
        )


def move_into(folder: Path, made: Path) -> None:
    """Give a folder that was made the name ``folder``, which may hold hidden files that stay."""
    if folder.is_dir() and any(folder.iterdir()):
        for path in made.iterdir():
            path.replace(folder / path.name)
    else:
        made.replace(folder)


def as_path(value: Any, what: str) -> Path:
    """Return the path that a caller gave for ``what``.

    Raises:
        UsageError: it is no path: of another type, empty, with a null character, or too long.
    """
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise UsageError(f"{what} is a path, not of type {type(value).__name__}")
    if value == "":
        raise UsageError(f"{what} is a path, not an empty text")
    path = Path(value)
    try:
        path.lstat()
    except FileNotFoundError:
        return path
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) or error.errno == errno.ENAMETOOLONG:
            raise UsageError(f"{what} is no path: {getattr(error, 'strerror', error)}") from error
    return path


def remove(paths: Iterable[Path]) -> None:
    """Delete files; those that are gone already are passed over.

    Raises:
        VosError: one cannot be deleted.
    """
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise VosError(f"cannot delete {path}: {_reason(path, error)}") from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        VosError: the file cannot be read or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise VosError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise VosError(f"{path} is not JSON: {error}") from error
