"""A propagation in a thread of its own: it goes on when the page that asked for it is reloaded."""

from __future__ import annotations

import logging
import threading
import time

from vos.demo.engine import Models, Pass, Step, propagate
from vos.demo.session import Session
from vos.demo.turns import Turns
from vos.errors import VosError

logger = logging.getLogger(__name__)
_PATIENCE = 0.2  # seconds after which one who waits in line looks whether to give up


class Run:
    """The propagation of a session, waiting for its turn, at work or finished.

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
        turns: Turns,
        *,
        model: str,
        preset_name: str,
        passes: list[Pass],
    ) -> None:
        self.step: Step | None = None
        self.error: VosError | None = None
        self.finished = threading.Event()
        self._session = session
        self._turns = turns
        self._steps = propagate(
            session, models, model=model, preset_name=preset_name, passes=passes
        )

    @property
    def place(self) -> int:
        """How many other runs come first."""
        return self._turns.place(self)

    def start(self) -> None:
        """Wait for the turn and work, in a thread."""
        session = self._session
        session.busy, session.run = True, self
        session.stop.clear()
        self._turns.join(self)
        threading.Thread(target=self._work, name="propagation", daemon=True).start()

    def _work(self) -> None:
        try:
            while not self._turns.wait(self, _PATIENCE):
                if self._session.stop.is_set():
                    return
            for step in self._steps:
                self.step = step
                self._session.touched = time.monotonic()
        except VosError as error:
            self.error = error
        except Exception:
            logger.exception("propagation broke off")
            self.error = VosError("Propagation broke off by a fault of ours; masks so far are kept")
        finally:
            self._turns.leave(self)
            self._session.busy = False
            self.finished.set()
