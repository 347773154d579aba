"""Run workers as processes of this machine, as many as fit into its memory.

Each is a fresh interpreter that takes pickled tasks on standard input and answers with pickled
events on standard output: nothing of the caller's process is copied, so threads and devices that
it has started do no harm, and a caller's script needs no guard.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from vos.errors import UsageError
from vos.machine import processors
from vos.scheduling.tasks import Done, Event, Lost, OpenWorker, Task

log = logging.getLogger("vos")

GIB = 2**30
# A worker of the default model at 854 x 480 peaks at 1.1 GiB (docs/scale.md): so much for each
# leaves room for any that is usual, and nothing has to be measured first.
ROOMY = 4 * GIB
SPARE = 0.9  # of what is free: other programs grow too

_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


@dataclass(frozen=True)
class Assignment:
    """The first message to a worker's process."""

    number: int
    open_worker: OpenWorker
    device: str


class Processes:
    """A pool of processes.

    Args:
        open_worker: makes a worker, in its process.
        devices: each worker takes the next of these, in turn.
        workers: how many there may be; fewer where they do not fit into the memory.
    """

    def __init__(self, open_worker: OpenWorker, devices: list[str], workers: int) -> None:
        self._open = open_worker
        self._devices = devices
        self._threads = max(1, processors() // workers)
        self._wanted = workers
        self._measured = available_memory() / workers >= ROOMY
        self._events: queue.Queue[Event] = queue.Queue()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._started = 0
        self._ended = False

    def capacity(self) -> int:
        """Return the number of workers: one until its memory is known, where it is scarce."""
        return self._wanted if self._measured else 1

    def start(self) -> int:
        number = self._started
        self._started += 1
        device = self._devices[number % len(self._devices)]
        process = subprocess.Popen(
            [sys.executable, "-m", "vos.scheduling.process_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment(),
            start_new_session=True,  # Ctrl-C is this process's to handle
        )
        self._processes[number] = process
        threading.Thread(target=self._listen, args=(number, process), daemon=True).start()
        self._send(number, Assignment(number, self._open, device))
        return number

    def submit(self, worker: int, task: Task) -> None:
        self._send(worker, task.payload)

    def wait(self, seconds: float) -> list[Event]:
        try:
            events = [self._events.get(timeout=seconds)]
        except queue.Empty:
            return []
        while not self._events.empty():
            events.append(self._events.get())
        for event in events:
            self._learn(event)
        return events

    def shutdown(self) -> None:
        self._ended = True
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()

    def _environment(self) -> dict[str, str]:
        threads = str(self._threads)
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        path = os.pathsep.join(entry for entry in sys.path if entry)
        return {**os.environ, **dict.fromkeys(names, threads), "PYTHONPATH": path}

    def _send(self, worker: int, message: object) -> None:
        stream = self._processes[worker].stdin
        assert stream is not None
        try:
            data = pickle.dumps(message)
        except (AttributeError, TypeError, pickle.PicklingError) as error:
            raise UsageError(
                f"the work cannot be sent to another process ({error}): a network that is given "
                "itself must be of a module that can be imported; else leave out `workers`"
            ) from error
        try:
            stream.write(data)
            stream.flush()
        except BrokenPipeError:
            pass  # its end is told by the listener

    def _listen(self, worker: int, process: subprocess.Popen[bytes]) -> None:
        """Pass on what a process says, and that it ended; runs in a thread."""
        assert process.stdout is not None
        try:
            while True:
                self._events.put(pickle.load(process.stdout))
        except Exception:  # the end of the stream, or the middle of a message
            code = process.wait()
            if not self._ended:
                self._events.put(Lost(worker, _how_it_ended(code)))

    def _learn(self, event: Event) -> None:
        """Adapt the number of workers: to the memory of the first task, and to losses."""
        if isinstance(event, Lost):
            del self._processes[event.worker]
            if event.reason.startswith(_KILLED) and self._wanted > 1:
                self._wanted -= 1
                log.warning("the system ended a worker: going on with at most %d", self._wanted)
        if isinstance(event, Done) and not self._measured:
            self._measured = True
            peak, free = event.peak_memory_mb * 2**20, available_memory()
            fit = 1 + more_that_fit(self._wanted - 1, peak, free)
            if fit < self._wanted:
                log.warning(
                    "%d of %d workers: each takes %.1f GiB at its peak, and %.1f GiB are free "
                    "beside the first",
                    *(fit, self._wanted, peak / GIB, free / GIB),
                )
            self._wanted = fit


_KILLED = "killed by SIGKILL"


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    if -code == signal.SIGKILL:
        return f"{_KILLED}, as a system out of memory does"
    return f"ended by signal {-code}"


def available_memory() -> int:
    """Return the bytes that are free on the machine, or left to the container."""
    import psutil

    free = int(psutil.virtual_memory().available)
    for limit, used in _LIMITS:
        try:
            left = int(Path(limit).read_text()) - int(Path(used).read_text())
        except (OSError, ValueError):  # no such file, or "max"
            continue
        free = min(free, max(left, 0))
    return free


def more_that_fit(wanted: int, peak: float, free: float) -> int:
    """Return how many more workers of ``peak`` bytes fit into ``free`` bytes, at most ``wanted``.

    >>> more_that_fit(3, 2 * GIB, 5 * GIB)
    2
    """
    return max(0, min(wanted, int(SPARE * free // max(peak, 1))))
