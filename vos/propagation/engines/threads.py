"""Threads for compiled loops that let go of the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch

from vos.forks import forgotten_in_children, let_children_compute
from vos.machine import processors

let_children_compute()


def in_threads(work: Callable[[int, int], None]) -> None:
    """Call ``work(worker, workers)`` once per processor, all at once; the first error is raised."""
    pool, workers = _pool()
    for done in [pool.submit(work, worker, workers) for worker in range(workers)]:
        done.result()


@forgotten_in_children
@lru_cache(maxsize=1)
def _pool() -> tuple[ThreadPoolExecutor, int]:
    workers = min(processors(), torch.get_num_threads())
    return ThreadPoolExecutor(workers, thread_name_prefix="propagation"), workers
