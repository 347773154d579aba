"""Many small independent pieces of work, on all processors."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from vos.machine import processors

Result = TypeVar("Result")

WORTH_FORKING = 400  # jobs of about a millisecond: fewer are done before processes have started
CHUNK = 16  # jobs handed to a process at a time

_jobs: Sequence[Callable[[], object]] = ()  # in a worker process: what there is to do


def run_jobs(jobs: Sequence[Callable[[], Result]], workers: int | None = None) -> Iterator[Result]:
    """Results of ``jobs``, in their order; the first failure, in that order, is raised.

    Long lists are shared among forked processes. A fork has the jobs already, so that only the
    results travel, and it needs no guard in the caller's script. Threads do not help here: the
    jobs let go of the interpreter lock too often and for too short to gain by it. Where forking
    is not safe (macOS, Windows), this process does everything.

    Args:
        jobs: functions without arguments, whose results can be pickled.
        workers: number of processes; None takes one per processor.

    Raises:
        Exception: whatever a job raised.
    """
    workers = workers or processors()
    if workers == 1 or len(jobs) < WORTH_FORKING or sys.platform != "linux":
        yield from (job() for job in jobs)
        return
    pool = ProcessPoolExecutor(
        min(workers, len(jobs) // CHUNK),
        mp_context=multiprocessing.get_context("fork"),
        initializer=_start_worker,
        initargs=(jobs,),
    )
    try:
        for results in pool.map(_run_chunk, range(0, len(jobs), CHUNK)):
            yield from results  # type: ignore[misc]
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(jobs: Sequence[Callable[[], object]]) -> None:
    global _jobs
    _jobs = jobs
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle


def _run_chunk(start: int) -> list[object]:
    return [job() for job in _jobs[start : start + CHUNK]]
