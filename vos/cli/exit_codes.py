"""Turn expected errors into one line on standard error and the exit code of their kind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from vos.errors import VosError

INTERRUPTED = 130


@contextmanager
def exit_cleanly(program: str = "vos") -> Iterator[None]:
    """Turn what can go wrong for a user into one line that begins with ``program``."""
    try:
        yield
    except VosError as error:
        _end(program, str(error), error.exit_code)
    except OSError as error:  # whatever a disk may do where nobody expected it
        place = error.filename or "file system"
        _end(program, f"{place}: {error.strerror or error}", VosError.exit_code)
    except KeyboardInterrupt:
        _end_interrupted(program)
    except SystemExit as stop:  # the command-line library turns Ctrl-C into this
        if stop.code == INTERRUPTED:
            _end_interrupted(program)
        raise


def _end_interrupted(program: str) -> NoReturn:
    _end(program, "interrupted; what was finished is kept", INTERRUPTED)


def _end(program: str, message: str, code: int) -> NoReturn:
    print(f"{program}: {message}", file=sys.stderr)
    sys.exit(code)
