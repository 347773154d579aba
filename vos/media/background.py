"""Read ahead and write behind in a background thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")

_END = object()


def prefetch(items: Iterable[Item], *, ahead: int = 4) -> Iterator[Item]:
    """Yield ``items``, read by a thread that stays at most ``ahead`` of them ahead.

    An error raised by ``items`` is raised here, after the items that came before it.
    """
    ready: queue.Queue[Any] = queue.Queue(maxsize=ahead)
    stop = threading.Event()

    def offer(entry: Any) -> bool:
        while not stop.is_set():
            try:
                ready.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            for item in items:
                if not offer((item, None)):
                    return
            offer((_END, None))
        except BaseException as error:
            offer((_END, error))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stop.set()
        thread.join()


class BackgroundWriter:
    """Runs writes in a thread, a few at most waiting; the first error is raised to the caller.

    A context manager. What was queued is written even if the block fails, so that no finished
    work is lost; only a failed write cancels those behind it.
    """

    def __init__(self, *, waiting: int = 8) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._waiting = waiting
        self._pending: list[Future[None]] = []
        self._failed = False

    def __enter__(self) -> BackgroundWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self._pool.shutdown(wait=True, cancel_futures=self._failed)

    def submit(self, write: Callable[..., None], *arguments: Any) -> None:
        """Queue one write; waits while too many are queued."""
        self._settle(self._waiting - 1)
        self._pending.append(self._pool.submit(write, *arguments))

    def wait(self) -> None:
        """Return when everything queued is written."""
        self._settle(0)

    def _settle(self, limit: int) -> None:
        while len(self._pending) > limit:
            try:
                self._pending.pop(0).result()
            except BaseException:
                self._failed = True
                raise
