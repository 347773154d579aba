"""Serve tasks in a worker process: `python -m vos.scheduling.process_worker`.

Reads pickles from standard input: an `Assignment`, then payloads; writes events to standard output.
Ends when its input ends, in the middle of a task too: the parent is gone then.
"""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from typing import Any, BinaryIO

from vos.progress import set_quiet
from vos.scheduling.in_process import worker_place
from vos.scheduling.processes import Assignment
from vos.scheduling.tasks import Event, FailedToStart, Ready, as_vos_error, attempt


def main() -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not come between the answers
    set_quiet(True)
    messages: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, messages), daemon=True).start()
    assignment: Assignment = messages.get()
    number = assignment.number
    try:
        work = assignment.open_worker(assignment.device)
    except Exception as error:
        _answer(answers, FailedToStart(number, as_vos_error(error)))
        return
    _answer(answers, Ready(number))
    while True:
        payload = messages.get()
        _answer(answers, attempt(work, number, payload, where=worker_place()))


def _read(stream: BinaryIO, messages: queue.Queue[Any]) -> None:
    try:
        while True:
            messages.put(pickle.load(stream))
    except EOFError:
        os._exit(0)


def _answer(stream: BinaryIO, event: Event) -> None:
    stream.write(pickle.dumps(event))
    stream.flush()


if __name__ == "__main__":
    main()
