"""Measure the memory that is left, and how many workers fit into it."""

from __future__ import annotations

from pathlib import Path

GIB = 2**30
# A worker of the default model at 854 x 480 peaks at 1.1 GiB (docs/scale.md): so much for each
# leaves room for any that is usual, and nothing has to be measured first.
ROOMY = 4 * GIB
SPARE = 0.9  # of what is free: other programs grow too

_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


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
