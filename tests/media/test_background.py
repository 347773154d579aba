"""Work ahead and work behind: order, bounds, and errors that are not lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from vos.media.background import BackgroundWriter, prefetch


def test_items_come_in_order() -> None:
    assert list(prefetch(range(50))) == list(range(50))
    assert list(prefetch([])) == []


def test_at_most_so_many_items_are_read_ahead() -> None:
    read: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    stream = prefetch(items(), ahead=3)
    assert next(stream) == 0
    time.sleep(0.3)
    assert len(read) <= 1 + 3 + 1  # given out, waiting, and in hand
    stream.close()  # type: ignore[attr-defined]


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("broken frame")

    seen = []
    with pytest.raises(ValueError, match="broken frame"):
        for item in prefetch(items()):
            seen.append(item)
    assert seen == [1, 2]


def test_stopping_early_ends_the_thread() -> None:
    before = threading.active_count()
    stream = prefetch(iter(range(10**9)))
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_everything_is_written_in_order_when_the_block_ends() -> None:
    written: list[int] = []
    with BackgroundWriter(waiting=3) as writer:
        for number in range(20):
            writer.submit(written.append, number)
    assert written == list(range(20))


def test_the_first_failed_write_is_raised_and_later_ones_are_not_tried() -> None:
    written: list[int] = []

    def write(number: int) -> None:
        if number == 2:
            raise OSError("disk full")
        written.append(number)

    with pytest.raises(OSError, match="disk full"), BackgroundWriter(waiting=2) as writer:
        for number in range(1000):
            writer.submit(write, number)
    assert len(written) < 10


def test_waiting_raises_too() -> None:
    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), BackgroundWriter() as writer:
        writer.submit(fail)
        writer.wait()


def test_what_was_queued_is_written_when_the_block_fails() -> None:
    written: list[int] = []

    def write(number: int) -> None:
        time.sleep(0.01)
        written.append(number)

    with pytest.raises(KeyboardInterrupt), BackgroundWriter() as writer:
        for number in range(5):
            writer.submit(write, number)
        raise KeyboardInterrupt
    assert written == list(range(5))


def test_an_error_of_the_block_is_the_one_that_is_raised() -> None:
    def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(KeyboardInterrupt), BackgroundWriter() as writer:
        writer.submit(fail)
        raise KeyboardInterrupt
