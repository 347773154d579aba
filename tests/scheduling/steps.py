"""Work for the tests of schedulers: small things that succeed, fail or take their worker along."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vos.errors import MissingError, VosError


@dataclass(frozen=True)
class Step:
    """A payload: what to do, how long to take, and where to leave a trace of each try."""

    what: str
    number: int
    traces: Path
    seconds: float = 0.0


@dataclass(frozen=True)
class OpenWorker:
    """Makes `work`; ``broken`` says why it cannot, the first time only if ``once`` is a folder."""

    broken: str = ""
    once: Path | None = None

    def __call__(self, device: str) -> Any:
        if self.broken and (self.once is None or _is_first(self.once)):
            raise MissingError(self.broken)
        return work


def _is_first(folder: Path) -> bool:
    try:
        (folder / "first").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def work(step: Step, advance: Any) -> dict[str, Any]:
    with (step.traces / f"{step.number}").open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(step.seconds)
    if step.what == "poison":
        raise VosError("not a video")
    if step.what == "flaky" and tries(step) < 3:
        raise RuntimeError("the disk was away")
    if step.what == "bug":
        raise ZeroDivisionError("division by zero\nsecond line")
    if step.what == "bomb":
        os.kill(os.getpid(), signal.SIGKILL)
    if step.what == "heavy":
        bytearray(200 * 2**20)
    advance(1)
    return {"square": step.number**2, "threads": os.environ.get("OMP_NUM_THREADS")}


def tries(step: Step) -> int:
    return len((step.traces / f"{step.number}").read_text().splitlines())
