"""What can go wrong for a user, and the exit code each kind ends a command with.

Every message is one clear line: what is wrong, where, and what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VosError(Exception):
    """Something failed that the user can understand and act on (exit code 1)."""

    exit_code = 1


class UsageError(VosError):
    """An option, a name or a value that makes no sense (exit code 2)."""

    exit_code = 2


class MissingError(VosError):
    """Data, weights or an extra are missing; the message holds the command that gets them (3)."""

    exit_code = 3


class InvalidResultsError(VosError):
    """A results folder that cannot be scored (exit code 4)."""

    exit_code = 4


def near_names(name: object, known: Iterable[str], *, count: int = 3) -> str:
    """Words to append to "unknown name" messages: near names first, else all of them.

    >>> near_names("resnet19", ["resnet18", "lab"])
    'did you mean resnet18?'
    """
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=count, cutoff=0.5)
    if near:
        return f"did you mean {', '.join(near)}?"
    return f"known: {', '.join(names)}"
