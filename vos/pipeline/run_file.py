"""`run.json`: what the masks of a folder were made with, so that a run goes on or is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vos.errors import UsageError, VosError
from vos.files import read_json

RUN_FILE = "run.json"


def read_run(folder: Path) -> dict[str, Any] | None:
    """What ``run.json`` of ``folder`` holds; None where there is none.

    Raises:
        VosError: it is damaged, or of another program.
    """
    path = folder / RUN_FILE
    if not path.exists():
        return None
    advice = "add --overwrite to start anew, or choose another --out"
    try:
        known = read_json(path)
    except VosError as error:
        raise VosError(f"{error}; {advice}") from error
    if not isinstance(known, dict) or not isinstance(known.get("settings"), dict):
        raise VosError(f"{path} is not the record of a run of vos; {advice}")
    return known


def refuse_changes(folder: Path, known: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """See that the run in ``folder`` had the settings that are wanted now.

    Raises:
        UsageError: one differs; the message names it with both values.
    """
    for name, value in wanted.items():
        if known.get(name) != value:
            raise UsageError(
                f"{folder} holds a run with another {name} "
                f"({_difference(known.get(name), value)}): choose another --out, "
                "or add --overwrite to start anew"
            )


def _difference(known: Any, wanted: Any) -> str:
    if isinstance(known, dict) and isinstance(wanted, dict):
        names = [*wanted, *(name for name in known if name not in wanted)]
        changed = [name for name in names if known.get(name) != wanted.get(name)]
        return ", ".join(
            f"{name}: {_shown(known, name)}, now {_shown(wanted, name)}" for name in changed
        )
    return f"{known}, now {wanted}"


def _shown(values: Mapping[str, Any], name: str) -> str:
    return str(values[name]) if name in values else "none"
