"""Let a forked child compute: threads of its parent do not live on in it.

`multiprocessing` forks by default on Linux below Python 3.14. What waits for a thread of the parent
waits for ever, so a child makes its own.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import TypeVar

CachedT = TypeVar("CachedT", bound=Callable[..., object])


def forgotten_in_children(cached: CachedT) -> CachedT:
    """Return a function of `functools.cache`, which forked children begin with an empty cache of.

    A decorator, for what holds threads, locks or connections of this process.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=cached.cache_clear)  # type: ignore[attr-defined]
    return cached


@functools.cache
def let_children_compute() -> None:
    """Have children that are forked from now on use one thread of PyTorch.

    Its threads (OpenMP's) cannot be started again; `torch.utils.data` does the same in its workers.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_use_one_thread)


def _use_one_thread() -> None:
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
