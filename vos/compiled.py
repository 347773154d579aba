"""Compiled loops: one decorator for every inner loop that Numba compiles."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache

from vos.caches import cache_folder, is_writable

config: Any = numba.config  # its attributes are made at run time


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function and releases the interpreter lock in it.

    What was compiled is kept for later runs: in ``$NUMBA_CACHE_DIR`` if that is set, else beside
    the source, else in the cache of vos. Where none of them can be written or read, the function is
    compiled anew in each process.

    Args:
        options: those of ``numba.njit``, such as ``fastmath=True``.

    >>> @compiled(fastmath=True)
    ... def add(a, b):
    ...     return a + b
    >>> add(1, 2)
    3
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(nogil=True, **options)(function)
        cache = _cache_of(function)
        if cache is not None:
            dispatcher._cache = cache  # what `cache=True` does, with a cache that may fail
        return dispatcher

    return decorate


class _Cache(FunctionCache):
    """A cache whose files may be damaged, unreadable or on a full disk.

    It is out of date once any source in the folder has changed: what a function calls, which may be
    in a file beside it, is compiled into it.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        sources = sorted(Path(function.__code__.co_filename).parent.glob("*.py"))
        facts = [(source.name, source.stat()) for source in sources]
        self._cache_file._source_stamp = [(n, f.st_mtime, f.st_size) for n, f in facts]

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever reading half a file ends in
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):
            super().save_overload(sig, data)


def _cache_of(function: Callable[..., Any]) -> _Cache | None:
    """Return the cache of a function in the first folder that can be written."""
    chosen = config.CACHE_DIR
    try:
        for folder in _folders(Path(function.__code__.co_filename)):
            config.CACHE_DIR = folder
            with suppress(RuntimeError):  # Numba found no folder
                return _Cache(function)
    finally:
        config.CACHE_DIR = chosen
    return None


def _folders(source: Path) -> Iterator[str]:
    """Yield what Numba's setting of the folder is to be, one after another; "" is beside it."""
    if config.CACHE_DIR or is_writable(source.parent / "__pycache__"):
        yield config.CACHE_DIR
    yield os.fspath(cache_folder("numba"))
