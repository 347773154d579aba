"""Run one worker in this process: nothing to start, nothing to send."""

from __future__ import annotations

import os
import socket

from vos.errors import VosError
from vos.scheduling.tasks import (
    Advance,
    Event,
    FailedToStart,
    OpenWorker,
    Ready,
    Task,
    Work,
    attempt,
)


class InProcess:
    """A pool of one worker, in this process; it alone tells how far it is within a task."""

    def __init__(self, open_worker: OpenWorker, device: str, advance: Advance) -> None:
        self._open = open_worker
        self._device = device
        self._advance = advance
        self._work: Work | None = None
        self._task: Task | None = None

    def capacity(self) -> int:
        return 1

    def start(self) -> int:
        return 0

    def submit(self, worker: int, task: Task) -> None:
        self._task = task

    def wait(self, seconds: float) -> list[Event]:
        if self._work is None:
            try:
                self._work = self._open(self._device)
            except VosError as error:
                return [FailedToStart(0, error)]
            return [Ready(0)]
        assert self._task is not None
        task = self._task
        advance = self._advance if task.size > 1 else None  # else the unit is the task itself
        return [attempt(self._work, 0, task.payload, where=worker_place(), advance=advance)]

    def shutdown(self) -> None:
        self._work = None


def worker_place() -> str:
    """Return host and process id, for the manifest."""
    return f"{socket.gethostname()} {os.getpid()}"
