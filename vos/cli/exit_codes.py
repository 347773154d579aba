"""Turn expected errors into one line on standard error and the exit code of their kind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from vos.errors import VosError, memory_message, ran_out_of_memory

INTERRUPTED = 130


@contextmanager
def exit_cleanly(program: str = "vos") -> Iterator[None]:
    """Turn what can go wrong for a user into one line that begins with ``program``."""
    try:
        yield
    except VosError as error:
        _end(program, str(error), error.exit_code)
    except Exception as error:
        if ran_out_of_memory(error):
            _end(program, _memory_advice(error), VosError.exit_code)
        if isinstance(error, OSError):  # whatever a disk may do where nobody expected it
            place = error.filename or "file system"
            _end(program, f"{place}: {error.strerror or error}", VosError.exit_code)
        raise
    except KeyboardInterrupt:
        _end_interrupted(program)
    except SystemExit as stop:  # the command-line library turns Ctrl-C into this
        if stop.code == INTERRUPTED:
            _end_interrupted(program)
        raise


def _memory_advice(error: Exception) -> str:
    return (
        f"{memory_message(error)}: take smaller frames "
        "(--set short_side=240), in training a smaller batch (--set batch=... or "
        "--set optimiser.accumulate=...), fewer --workers, or --device cpu; "
        "what was finished is kept"
    )


def _end_interrupted(program: str) -> NoReturn:
    _end(program, "interrupted; what was finished is kept", INTERRUPTED)


def _end(program: str, message: str, code: int) -> NoReturn:
    print(f"{program}: {message}", file=sys.stderr)
    sys.exit(code)
