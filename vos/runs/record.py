"""The file of a record: JSON lines, the first of which holds the settings of the run.

Of several lines about one thing the last counts, and a line half written is none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vos.errors import UsageError, VosError
from vos.files import write_text

RECORD = "manifest.jsonl"
FORMAT = "vos-run-2"


@dataclass(frozen=True)
class Stamp:
    """What a file was when it was written: bytes, nanoseconds, BLAKE2 digest."""

    size: int
    mtime_ns: int
    digest: str

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Return the stamp of a file that is there."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, _digest(path))

    def fits(self, path: Path) -> bool:
        """Tell whether ``path`` is still that file; a copy of it is."""
        status = path.lstat()
        if status.st_size != self.size or not path.is_file() or path.is_symlink():
            return False
        return status.st_mtime_ns == self.mtime_ns or _digest(path) == self.digest


def record_beside(path: Path) -> Path:
    """Return where the record of a store or a single file is: ``clip.zarr.manifest.jsonl``."""
    return path.with_name(f"{path.name}.{RECORD}")


def begin_record(record: Path, settings: Mapping[str, Any], *lines: Mapping[str, Any]) -> None:
    """Write a record of its settings and some lines, in the place of what was there.

    Raises:
        VosError: it cannot be written.
    """
    head = {"format": FORMAT, "settings": settings}
    write_text(record, "".join(map(_line, (head, *lines))))


def append_lines(path: Path, *lines: Mapping[str, Any]) -> None:
    """Write lines behind those that are there, all of them or (if killed) the first few.

    Raises:
        VosError: they cannot be written.
    """
    if not lines:
        return
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(map(_line, lines)))
    except OSError as error:
        raise VosError(f"cannot write {path}: {error.strerror or error}") from error


def read_record(record: Path) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """Return the settings of a record and its other lines; None where there is no record.

    Raises:
        UsageError: it is damaged, a link, no record, or older than this version.
        VosError: it cannot be read.
    """
    if record.is_symlink():
        raise UsageError(f"{record} is a link, and no record: choose another place")
    try:
        text = record.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise VosError(f"cannot read {record}: {error}") from error
    head, *others = [_parsed(line) for line in text.splitlines()] or [None]
    if not isinstance(head, dict) or not isinstance(head.get("settings"), dict):
        raise UsageError(
            f"{record} is damaged, or not the record of a run of vos: "
            "choose another place, or remove it"
        )
    if head.get("format") != FORMAT:
        raise UsageError(
            f"{record} is of an older version of vos: choose another place, "
            "or remove what that version wrote"
        )
    return head["settings"], [line for line in others if isinstance(line, dict)]


def mend_record(record: Path) -> None:
    """Leave out a line half written; and copy a record that has another name (a hard link), so
    that what goes on here does not change what the other name shows."""
    text = record.read_text(encoding="utf-8")
    if not text.endswith("\n") or record.stat().st_nlink > 1:
        write_text(record, text[: text.rfind("\n") + 1])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _line(value: Mapping[str, Any]) -> str:
    # Escaped, because names that are not UTF-8 are strings that cannot be encoded.
    return json.dumps(value, ensure_ascii=True) + "\n"


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
