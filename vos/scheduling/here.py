"""One worker, in this process: nothing to start, nothing to send."""

from __future__ import annotations

import os
import socket

from vos.errors import VosError
from vos.scheduling.tasks import Advance, Event, OpenWorker, Ready, Task, Unfit, Work, attempt


class Here:
    """The crew of this process; it alone tells how far it is within a task."""

    def __init__(self, open_worker: OpenWorker, device: str, advance: Advance) -> None:
        self._open = open_worker
        self._device = device
        self._advance = advance
        self._work: Work | None = None
        self._task: Task | None = None

    def capacity(self) -> int:
        return 1

    def hire(self) -> int:
        return 0

    def give(self, worker: int, task: Task) -> None:
        self._task = task

    def wait(self, seconds: float) -> list[Event]:
        if self._work is None:
            try:
                self._work = self._open(self._device)
            except VosError as error:
                return [Unfit(0, error)]
            return [Ready(0)]
        assert self._task is not None
        payload = self._task.payload
        return [attempt(self._work, 0, payload, where=whereabouts(), advance=self._advance)]

    def dismiss(self) -> None:
        self._work = None


def whereabouts() -> str:
    """This machine and process, for the manifest."""
    return f"{socket.gethostname()} {os.getpid()}"
