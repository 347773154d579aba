"""Define what scheduler and executors share: tasks, workers, pools and their events."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from vos.errors import VosError, memory_message
from vos.machine import peak_memory_mb

log = logging.getLogger("vos")

Advance = Callable[[int], object]
# A worker: does one task from its payload, tells how far it is (in units of `Task.size`), and
# returns plain values. What it raises is the reason of a failure: `VosError` for good, anything
# else until it was tried three times.
Work = Callable[[Any, Advance], dict[str, Any]]


@dataclass(frozen=True)
class Task:
    """One piece of work.

    Attributes:
        name: unique in its job; what messages and the manifest call it.
        payload: what the worker needs to know; can be pickled.
        size: what it adds to the progress bar: frames where they are known, else 1.
    """

    name: str
    payload: Any
    size: int = 1


# Makes a worker that computes on the device of a name; it can be pickled, because it is called
# where the worker is to be.
OpenWorker = Callable[[str], Work]


@dataclass(frozen=True)
class Ready:
    """A worker holds its model and waits for tasks."""

    worker: int


@dataclass(frozen=True)
class FailedToStart:
    """A worker could not start: its model is not there, say."""

    worker: int
    error: VosError


@dataclass(frozen=True)
class Done:
    """A task is done.

    Attributes:
        result: what the worker returned.
        peak_memory_mb: of the worker's process, so far.
        where: machine and process, for the manifest.
        advanced: how much of the task the progress bar has been told already.
    """

    worker: int
    result: dict[str, Any] = field(default_factory=dict)
    peak_memory_mb: float = 0.0
    where: str = ""
    advanced: int = 0


@dataclass(frozen=True)
class Failed:
    """A task failed, the worker is well; ``again`` where another try may help."""

    worker: int
    error: VosError
    again: bool
    where: str = ""
    advanced: int = 0


@dataclass(frozen=True)
class Lost:
    """A worker is gone, and with it the task it had."""

    worker: int
    reason: str


Event = Ready | FailedToStart | Done | Failed | Lost


class WorkerPool(Protocol):
    """Workers of one kind. Workers have numbers, given by `start` and never used twice."""

    def capacity(self) -> int:
        """Return how many workers there may be at this moment."""

    def start(self) -> int:
        """Begin to start a worker, return its number; `Ready`, `FailedToStart`, `Lost` follow."""

    def submit(self, worker: int, task: Task) -> None:
        """Give a task to a ready worker; `Done`, `Failed` or `Lost` follows."""

    def wait(self, seconds: float) -> list[Event]:
        """Return events since the last call; block up to `seconds` for the first."""

    def shutdown(self) -> None:
        """End all workers at once."""


class Executor(Protocol):
    """Opens the worker pool that does the tasks of a job."""

    @property
    def device(self) -> str:
        """Kind of device the workers compute on: cpu, cuda or mps."""

    @property
    def is_remote(self) -> bool:
        """Whether workers are outside this process, so that what they need must be sent."""

    def pool(self, open_worker: OpenWorker, advance: Advance) -> WorkerPool:
        """Open a pool; ``advance`` is called with the progress by pools that know it."""


def attempt(
    work: Work, worker: int, payload: Any, *, where: str, advance: Advance | None = None
) -> Done | Failed:
    """Do one task; an error of the task becomes an event and does not end the worker.

    ``advance`` is left out where nobody would hear it.
    """
    advanced = 0

    def count(units: int) -> None:
        nonlocal advanced
        if advance is not None:
            advanced += units
            advance(units)

    try:
        result = work(payload, count)
    except VosError as error:
        return Failed(worker, error, again=False, where=where, advanced=advanced)
    except Exception as error:
        log.debug("unexpected", exc_info=True)
        return Failed(worker, as_vos_error(error), again=True, where=where, advanced=advanced)
    return Done(worker, result, peak_memory_mb(), where, advanced)


def as_vos_error(error: Exception) -> VosError:
    """Turn any error into one line that a person can read."""
    if isinstance(error, VosError):
        return error
    if message := memory_message(error):
        return VosError(message)
    if isinstance(error, OSError) and error.strerror:
        return VosError(f"{error.filename or 'file system'}: {error.strerror}")
    lines = str(error).strip().splitlines() or ["no message"]
    return VosError(f"unexpected {type(error).__name__}: {lines[0]}")
