"""Give tasks to workers until all are done or have failed, whatever happens to the workers."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from vos.errors import VosError
from vos.progress import progress
from vos.scheduling.tasks import (
    Advance,
    Done,
    Event,
    Executor,
    Failed,
    FailedToStart,
    Lost,
    OpenWorker,
    Ready,
    Task,
    WorkerPool,
)

log = logging.getLogger("vos")

ATTEMPTS = 3  # of a task whose worker is lost, or that fails for no reason of its own
LOSSES = 10  # workers lost one after another, without a task done in between: give up
POLL = 1.0  # seconds after which the capacity of the pool is looked at again

OnEnd = Callable[[Task, "Done | Failed", int], None]


@dataclass
class Outcome:
    """How a job ended.

    Attributes:
        results: what the workers returned, by task name, in the order of the tasks.
        failures: the reason of each task that failed.
        lost_workers: number of workers lost on the way.
        peak_memory_mb: the largest of any worker.
    """

    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: dict[str, VosError] = field(default_factory=dict)
    lost_workers: int = 0
    peak_memory_mb: float = 0.0

    def raise_failures(self, unit: str, *, hint: str = "") -> None:
        """Raise one error that names what failed; its exit code is that of a single failure.

        Raises:
            VosError: something failed.
        """
        if not self.failures:
            return
        errors = list(self.failures.values())
        total = len(self.results) + len(errors)
        if total == 1:
            raise errors[0]
        shown = "; ".join(f"{name}: {error}" for name, error in list(self.failures.items())[:3])
        more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
        kind = type(errors[0]) if len(errors) == 1 else VosError
        raise kind(f"{len(errors)} of {total} {unit}s failed: {shown}{more}{hint}") from errors[0]


def run_tasks(
    tasks: Sequence[Task],
    open_worker: OpenWorker,
    executor: Executor,
    *,
    description: str,
    unit: str,
    on_end: OnEnd | None = None,
) -> Outcome:
    """Do all ``tasks``; those of a lost worker go to another.

    Args:
        tasks: with names that differ.
        open_worker: makes a worker where it is to work.
        executor: which workers, how many, where.
        description, unit: of the progress bar.
        on_end: is called in this process with each task that is done or has failed for good, the
            event, and how often it was tried: to write it down.

    Returns:
        Each task exactly once, in ``results`` or in ``failures``.

    Raises:
        VosError: no worker can be made, or workers are lost one after another.
    """
    if not tasks:
        return Outcome()
    bar = progress(total=sum(task.size for task in tasks), description=description, unit=unit)
    with bar:
        pool = executor.pool(open_worker, bar.update)
        try:
            return _Run(tasks, pool, bar.update, on_end or (lambda *_: None)).run()
        finally:
            pool.shutdown()


class _Run:
    """Hold the state of `run_tasks`."""

    def __init__(
        self, tasks: Sequence[Task], pool: WorkerPool, update: Advance, on_end: OnEnd
    ) -> None:
        self.order = [task.name for task in tasks]
        self.pool = pool
        self.update = update
        self.on_end = on_end
        self.waiting = deque(tasks)
        self.running: dict[int, Task] = {}
        self.idle: deque[int] = deque()
        self.starting: set[int] = set()  # workers that are starting
        self.tried: Counter[str] = Counter()
        self.outcome = Outcome()
        self.losses = 0  # since a task was done
        self.not_started = 0  # workers that could not start

    def run(self) -> Outcome:
        while self.waiting or self.running:
            self._start_workers()
            while self.waiting and self.idle:
                worker, task = self.idle.popleft(), self.waiting.popleft()
                self.tried[task.name] += 1
                self.running[worker] = task
                self.pool.submit(worker, task)
            for event in self.pool.wait(POLL):
                self._note(event)
        results, failures = self.outcome.results, self.outcome.failures
        self.outcome.results = {name: results[name] for name in self.order if name in results}
        self.outcome.failures = {name: failures[name] for name in self.order if name in failures}
        return self.outcome

    def _start_workers(self) -> None:
        # A place where none could be made is not tried again.
        places = max(1, self.pool.capacity() - self.not_started)
        wanted = min(places, len(self.waiting) + len(self.running))
        while self._workers() < wanted:
            self.starting.add(self.pool.start())

    def _workers(self) -> int:
        return len(self.idle) + len(self.running) + len(self.starting)

    def _note(self, event: Event) -> None:
        self.starting.discard(event.worker)
        match event:
            case Ready(worker):
                self.idle.append(worker)
            case FailedToStart(_, error):
                self.not_started += 1
                if not self._workers() and self.not_started >= self.pool.capacity():
                    raise error
                log.warning("a worker could not start: %s", error)
            case Done(worker):
                self.losses = 0
                task = self._ended(worker, event)
                self.outcome.results[task.name] = event.result
                peak = max(self.outcome.peak_memory_mb, event.peak_memory_mb)
                self.outcome.peak_memory_mb = peak
            case Failed(worker, error, again):
                if again and self.tried[self.running[worker].name] < ATTEMPTS:
                    self.update(-event.advanced)
                    self.waiting.append(self.running.pop(worker))
                    self.idle.append(worker)
                else:
                    task = self._ended(worker, event)
                    self.outcome.failures[task.name] = error
                    log.debug("%s failed: %s", task.name, error)  # told at the end, by name
            case Lost(worker, reason):
                self._lost(worker, reason)

    def _ended(self, worker: int, event: Done | Failed) -> Task:
        task = self.running.pop(worker)
        self.idle.append(worker)
        self._write_down(task, event)
        return task

    def _write_down(self, task: Task, event: Done | Failed) -> None:
        self.on_end(task, event, self.tried[task.name])
        self.update(task.size - event.advanced)

    def _lost(self, worker: int, reason: str) -> None:
        self.outcome.lost_workers += 1
        self.losses += 1
        if worker in self.idle:
            self.idle.remove(worker)
        task = self.running.pop(worker, None)
        if task is not None:
            if self.tried[task.name] < ATTEMPTS:
                log.warning("a worker was lost (%s): %s is begun anew", reason, task.name)
                self.waiting.append(task)
            else:
                error = VosError(f"{ATTEMPTS} workers were lost at it, the last: {reason}")
                self.outcome.failures[task.name] = error
                log.debug("%s failed: %s", task.name, error)  # told at the end, by name
                self._write_down(task, Failed(worker, error, again=False))
        if self.losses >= LOSSES:
            raise VosError(
                f"{LOSSES} workers were lost one after another, the last: {reason}; "
                "what was finished is kept"
            )
