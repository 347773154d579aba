"""Whose turn it is: long work is done one piece at a time, in the order it was asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A line that people wait in. Two propagations at once would only take time off each other."""

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self._line: list[object] = []

    def __len__(self) -> int:
        return len(self._line)

    def place(self, who: object) -> int:
        """How many come before ``who``; 0 for whose turn it is, or who does not wait (any more)."""
        with self._moved:
            return self._line.index(who) if who in self._line else 0

    def join(self, who: object) -> None:
        """Stand at the end of the line."""
        with self._moved:
            self._line.append(who)

    def leave(self, who: object) -> None:
        """Go, from wherever in the line."""
        with self._moved:
            self._line.remove(who)
            self._moved.notify_all()

    def wait(self, who: object, timeout: float) -> bool:
        """Wait until it is the turn of ``who``, at most ``timeout`` seconds; whether it is."""
        with self._moved:
            return self._moved.wait_for(lambda: self._line[0] is who, timeout)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait in line, then have the turn for the block."""
        who = object()
        self.join(who)
        try:
            while not self.wait(who, 60):
                pass
            yield
        finally:
            self.leave(who)
