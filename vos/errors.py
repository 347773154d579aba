"""What can go wrong for a user, and the exit code each kind ends a command with.

Every message is one clear line: what is wrong, where, and what to do about it.
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable


class VosError(Exception):
    """Something failed that the user can understand and act on (exit code 1)."""

    exit_code = 1


class UsageError(VosError, ValueError):
    """An argument, a name or a value that makes no sense (exit code 2)."""

    exit_code = 2


class MissingError(VosError, FileNotFoundError):
    """Data, weights or an extra are missing; the message holds the command that gets them (3)."""

    exit_code = 3


class InvalidResultsError(VosError):
    """A results folder that cannot be scored (exit code 4)."""

    exit_code = 4


_MEMORY_RAN_OUT = (
    "out of memory",  # CUDA, MPS, HIP
    "DefaultCPUAllocator",  # PyTorch on the CPU
    "ALLOC_FAILED",  # cuBLAS, cuDNN
    "Insufficient memory",  # OpenCV
    "Failed to allocate memory",  # ONNX Runtime
)


def ran_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, that of the machine or of a device."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return any(words in str(error) for words in _MEMORY_RAN_OUT)


def memory_asked_for(error: BaseException) -> str:
    """Return how much memory could not be had, as in ``20.00 GiB``; "" where nobody says.

    >>> memory_asked_for(RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 ..."))
    '20.00 GiB'
    """
    found = re.search(r"allocate ([\d.]+ ?(?:bytes|[KMGTP]i?B))", str(error))
    return found[1] if found else ""


def memory_message(error: BaseException) -> str:
    """Return one line where an error says that memory ran out, "" where it says something else."""
    if not ran_out_of_memory(error):
        return ""
    size = memory_asked_for(error)
    return f"out of memory{f' ({size} could not be had)' if size else ''}"


def near_names(name: object, known: Iterable[str], *, count: int = 3) -> str:
    """Return words to append to "unknown name" messages: near names first, else all of them.

    >>> near_names("resnet19", ["resnet18", "lab"])
    'did you mean resnet18?'
    """
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=count, cutoff=0.5)
    if near:
        return f"did you mean {', '.join(near)}?"
    return f"known: {', '.join(names)}"
