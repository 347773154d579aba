"""The manifest of a job over many videos: what is done, what failed and why; a line each.

JSON lines, appended as tasks end, so that a hundred thousand of them cost no more than one each and
a driver that dies loses nothing but a line half written. The first line holds the settings; of
several lines of one name the last counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vos.errors import UsageError, VosError
from vos.files import write_text
from vos.scheduling.tasks import Done, Failed, Task


@dataclass
class Manifest:
    """What of a job is done or has failed, on disk.

    Attributes:
        path: the file.
        entries: the last line of each task.
    """

    path: Path
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, settings: Mapping[str, Any], *, overwrite: bool = False) -> Manifest:
        """Start a manifest, or go on with one of the same settings.

        Raises:
            UsageError: the file holds another job.
            VosError: it cannot be read or written.
        """
        known = None if overwrite else _read(path)
        if known is None:
            write_text(path, json.dumps({"settings": settings}, ensure_ascii=False) + "\n")
            return cls(path)
        header, entries = known
        # Through JSON, because that is what the file holds: tuples have become lists.
        wanted = json.loads(json.dumps(settings))
        for name, value in wanted.items():
            if header.get(name) != value:
                raise UsageError(
                    f"{path} is of a job with another {name} ({header.get(name)}, now {value}): "
                    "choose another --out, or add --overwrite to start anew"
                )
        return cls(path, entries)

    def is_done(self, name: str) -> bool:
        """Return whether the task of this name was done."""
        return self.entries.get(name, {}).get("state") == "done"

    @property
    def failed(self) -> dict[str, str]:
        """The reasons of those that failed, by name."""
        return {
            name: entry.get("reason", "")
            for name, entry in self.entries.items()
            if entry.get("state") == "failed"
        }

    def note(self, task: Task, event: Done | Failed, attempts: int) -> None:
        """Append how a task ended.

        Raises:
            VosError: the file cannot be written.
        """
        entry: dict[str, Any] = {"name": task.name}
        if isinstance(event, Done):
            entry |= {"state": "done", **event.result}
        else:
            entry |= {"state": "failed", "reason": str(event.error)}
        entry |= {"attempts": attempts, "worker": event.where}
        self.entries[task.name] = entry
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        except OSError as error:
            raise VosError(f"cannot write {self.path}: {error.strerror or error}") from error


def _read(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]] | None:
    """Read settings and entries; None where there is no manifest."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise VosError(f"cannot read {path}: {error}") from error
    lines = text.splitlines()
    values = [_parse(line) for line in lines]
    if not values or not isinstance(values[0], dict) or "settings" not in values[0]:
        raise UsageError(f"{path} is not the manifest of a job of vos: choose another --out")
    if not text.endswith("\n"):  # a driver died while it wrote: what follows begins a new line
        with path.open("a", encoding="utf-8") as file:
            file.write("\n")
    entries = {
        value["name"]: value for value in values[1:] if isinstance(value, dict) and "name" in value
    }
    return values[0]["settings"], entries


def _parse(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
