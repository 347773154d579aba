"""Long work is done one piece at a time, in the order it was asked for.

A propagation runs in a thread of its own: it goes on when the page that asked for it is reloaded.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from vos.demo.session import Direction, Session
from vos.errors import VosError, memory_message
from vos.propagation import PropagationConfig, preset
from vos.segmentation import make_extractor, segment

if TYPE_CHECKING:
    from vos.backbones.inference import FeatureExtractor

logger = logging.getLogger(__name__)
_MODELS_KEPT = 3
_FRAMES_TOLD = 12  # of a run whose rate counts: the first frames have fewer to look at
_PATIENCE = 0.2  # seconds after which a run that waits looks whether to give up


class Work(NamedTuple):
    """What decides how long a frame takes: the model, the protocol and the size of the frame."""

    model: str
    config: PropagationConfig
    size: tuple[int, int]


class Models:
    """Feature extractors by spec, the last few kept."""

    def __init__(self, device: str = "auto") -> None:
        self.device = device
        self._kept: dict[str, FeatureExtractor] = {}
        self._lock = threading.Lock()

    def get(self, spec: str) -> FeatureExtractor:
        """Return the extractor of ``spec``, loaded at its first use.

        Raises:
            VosError: there is no such model, or it cannot be loaded.
        """
        with self._lock:
            extractor = self._kept.pop(spec, None) or make_extractor(spec, self.device)
            self._kept[spec] = extractor
            while len(self._kept) > _MODELS_KEPT:
                self._kept.pop(next(iter(self._kept)))
            return extractor

    def warm_up(self, spec: str) -> None:
        """Carry an object through three small frames, so that all that is compiled is compiled.

        Compiling beside visitors stops the server for as long as a minute: whichever thread
        collects garbage then waits for the compiler's lock, the one that answers them as well.

        Raises:
            VosError: as `get` does.
        """
        noise = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), np.uint8)
        mask = np.zeros((96, 96), np.uint8)
        mask[24:60, 24:60] = 1
        for _ in segment(enumerate(noise), {0: mask}, self.get(spec), preset("default")):
            pass


@dataclass(frozen=True)
class Step:
    """One frame was segmented: ``done`` of ``total``."""

    index: int
    done: int
    total: int
    seconds: float

    @property
    def seconds_left(self) -> float:
        return self.seconds / self.done * (self.total - self.done)


class RunQueue:
    """The queue of a server, and the last run of each session.

    Two propagations at once would only take time off each other.

    Attributes:
        rates: seconds per frame, as far as known.
    """

    def __init__(self) -> None:
        self.rates: dict[Work, float] = {}
        self._changed = threading.Condition()
        self._waiting: list[object] = []
        self._runs: WeakKeyDictionary[Session, Run] = WeakKeyDictionary()

    def __len__(self) -> int:
        return len(self._waiting)

    def start(
        self, session: Session, models: Models, direction: Direction, *, model: str, preset: str
    ) -> Run:
        """Queue a propagation from the frame that ``session`` is at; it works by itself."""
        run = self._runs[session] = Run(session, models, self, direction, model, preset)
        run.start()
        return run

    def run_of(self, session: Session) -> Run | None:
        """Return the last run of a session, until it is forgotten."""
        return self._runs.get(session)

    def forget(self, session: Session) -> None:
        """Forget the run of a session, whose end was shown."""
        self._runs.pop(session, None)

    def place(self, who: object) -> int:
        """Return how many come before ``who``; 0 for the first, or one that does not wait."""
        with self._changed:
            return self._waiting.index(who) if who in self._waiting else 0

    def join(self, who: object) -> None:
        """Put ``who`` at the end of the queue."""
        with self._changed:
            self._waiting.append(who)

    def leave(self, who: object) -> None:
        """Take ``who`` out of the queue, from wherever in it."""
        with self._changed:
            self._waiting.remove(who)
            self._changed.notify_all()

    def wait(self, who: object, timeout: float) -> bool:
        """Wait until ``who`` is the first, at most ``timeout`` seconds; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._waiting[0] is who, timeout)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait in the queue, then be its first for the block."""
        who = object()
        self.join(who)
        try:
            while not self.wait(who, 60):
                pass
            yield
        finally:
            self.leave(who)


class Run:
    """The propagation of a session, waiting in the queue, at work or finished.

    Starting it marks the session as busy until it has finished.

    Attributes:
        step: how far it is; None before the first frame.
        error: why it broke off, or None.
        finished: set when it is over, for whatever reason.
    """

    def __init__(
        self,
        session: Session,
        models: Models,
        queue: RunQueue,
        direction: Direction,
        model: str,
        preset: str,
    ) -> None:
        self.step: Step | None = None
        self.error: VosError | None = None
        self.finished = threading.Event()
        self._session = session
        self._queue = queue
        self._work_done = partial(work_of, session, models, model, preset)
        self._steps = propagate(session, models, direction, model=model, preset=preset)

    @property
    def place(self) -> int:
        """How many other runs come first."""
        return self._queue.place(self)

    def start(self) -> None:
        """Wait for its turn and work, in a thread."""
        self._session.busy = True
        self._session.stop.clear()
        self._queue.join(self)
        threading.Thread(target=self._work, name="propagation", daemon=True).start()

    def _work(self) -> None:
        try:
            while not self._queue.wait(self, _PATIENCE):
                if self._session.stop.is_set():
                    return
            for step in self._steps:
                self.step = step
                self._session.touched = time.monotonic()
            if self.step is not None and self.step.done >= _FRAMES_TOLD:
                self._queue.rates[self._work_done()] = self.step.seconds / self.step.done
        except VosError as error:
            self.error = error
        except Exception as error:
            logger.exception("propagation broke off")
            reason = memory_message(error) or "Propagation broke off by a fault of ours"
            self.error = VosError(f"{reason}; masks so far are kept")
        finally:
            self._steps.close()
            self._queue.leave(self)
            self._session.busy = False
            self.finished.set()


def work_of(session: Session, models: Models, model: str, preset: str) -> Work:
    """Return the work on a session; of a preset, what suits the marked objects.

    Raises:
        VosError: the model cannot be loaded.
    """
    clip = session.clip
    return Work(model, clip.work.suited(preset, models.get(model).stride), clip.size)


def propagate(
    session: Session, models: Models, direction: Direction, *, model: str, preset: str
) -> Generator[Step, None, None]:
    """Return the steps of a propagation from where ``session`` is, up to its end or a stop.

    Raises:
        UsageError: by the call; nothing is marked, or not on the frame to start from.
        VosError: the model cannot be loaded, or the video not be read; masks so far are kept.
    """
    work, extent = session.clip.work, session.extent(direction)
    total = sum(len(part) for part in work.plan(**extent))

    def steps() -> Generator[Step, None, None]:
        stream = work.propagate(**extent, model=models.get(model), preset=preset)
        started = time.monotonic()
        for done, frame in enumerate(stream, start=1):
            yield Step(frame.index, done, total, time.monotonic() - started)
            if session.stop.is_set():
                stream.close()
                return

    return steps()
