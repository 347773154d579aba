"""What a run says where it may not write: what is in the way, and what helps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vos.errors import UsageError, VosError


def foreign(path: Path) -> UsageError:
    """Return the error of a file that no record of the run names."""
    return UsageError(
        f"{path} is there and is not of this run: move it away, or choose another place"
    )


def changed(path: Path, anew: str = "") -> UsageError:
    """Return the error of a file that someone changed; see `advise` for ``anew``."""
    return UsageError(
        f"{path} was changed since it was written: move it away, or choose another place{anew}"
    )


def another(place: Path, difference: str, anew: str = "") -> UsageError:
    """Return the error of a folder of a run with other settings; see `differences`, `advise`."""
    return UsageError(f"{place} holds a run with another {difference}: choose another place{anew}")


def advise(can_start_anew: bool, effect: str) -> str:
    """Return the end of a message, where starting anew helps."""
    return f", or add `overwrite=True` to {effect}" if can_start_anew else ""


def refuse_foreign(place: Path, outputs: Iterable[Path], *, can_start_anew: bool) -> None:
    """See that a place without a record is free.

    Args:
        outputs: files that will be written, which must be free even to start anew.

    Raises:
        UsageError: it is not.
    """
    if place.is_file():
        raise UsageError(f"{place} is there and is not of this run: choose another place")
    others = visible(place)
    if not others:
        return
    if any((place / name).is_file() for name in ("run.json", "state.pt")):
        raise UsageError(
            f"{place} holds a run of an older version of vos: choose another place, "
            "or remove what that version wrote"
        )
    helps = can_start_anew and not any(map(Path.exists, outputs))
    raise UsageError(
        f"{place} holds files of something else ({min(path.name for path in others)}): choose "
        f"another place{advise(helps, 'write beside them')}"
    )


def differences(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Say which of the recorded settings are not those that are wanted now; "" if none."""
    return ", ".join(
        f"{name} ({_difference(known.get(name), wanted.get(name))})"
        for name in _names(known, wanted)
        if known.get(name) != wanted.get(name)
    )


def visible(folder: Path) -> list[Path]:
    """List what a folder holds, hidden files (those of macOS, say) aside; [] if there is none."""
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise VosError(f"cannot read {folder}: {error.strerror or error}") from error


def _difference(known: Any, wanted: Any) -> str:
    if isinstance(known, dict) and isinstance(wanted, dict):
        return ", ".join(
            f"{name}: {known.get(name, 'none')}, now {wanted.get(name, 'none')}"
            for name in _names(known, wanted)
            if known.get(name) != wanted.get(name)
        )
    return f"{known}, now {wanted}"


def _names(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    return [*wanted, *(name for name in known if name not in wanted)]
