"""What a frame costs on this machine, measured before anyone waits for it."""

from __future__ import annotations

import time
from itertools import islice

import numpy as np

from vos.demo.desk import Desk
from vos.demo.engine import Models
from vos.demo.layout import Layout
from vos.demo.messages import duration
from vos.demo.scene import Updates
from vos.demo.session import Session
from vos.demo.store import SessionStore
from vos.demo.turns import Turns
from vos.errors import VosError
from vos.machine import device_name
from vos.pipeline import segment
from vos.propagation import preset

_TIMED_FRAMES = 4


class Costs(Desk):
    """Tells what a model and a protocol cost a frame; each measured once a frame size."""

    def __init__(self, layout: Layout, store: SessionStore, models: Models, turns: Turns) -> None:
        super().__init__(layout, store, models)
        self._turns = turns
        self._known: dict[tuple[str, str, tuple[int, int]], float] = {}

    def tell(self, token: str, model: str, preset_name: str) -> Updates:
        """One line below the button that starts the work."""
        cost = self.layout.cost
        try:
            session = self.store.get(token)
            session.model, session.device = model, self.models.device
            if not session.has_clip:
                return {cost: ""}
            seconds = self._seconds_a_frame(session, model, preset_name)
            device = device_name(self.models.get(model).device)
        except VosError as error:
            return {**self.failed(error), cost: ""}
        first, last = session.clip.trim
        count = last - first + 1
        text = (
            f"About {seconds:.2g} s a frame on this machine, {device}: "
            f"{count} frames in {duration(seconds * count)}."
        )
        return {cost: f'<p class="hint">{text}</p>'}

    def _seconds_a_frame(self, session: Session, model: str, preset_name: str) -> float:
        key = (model, preset_name, session.clip.size)
        if key in self._known:
            return self._known[key]
        alone = not self._turns
        seconds = _measure(session, self.models, model, preset_name)
        if alone and not self._turns:  # beside a run, everything takes longer
            self._known[key] = seconds
        return seconds


def _measure(session: Session, models: Models, model: str, preset_name: str) -> float:
    """On the first frames, with a made-up object."""
    clip = session.clip
    mask = np.zeros(clip.size, np.uint8)
    height, width = clip.size
    mask[height // 4 : height // 2, width // 4 : width // 2] = 1
    times = [time.monotonic()]
    frames = enumerate(islice(clip.video.read(), _TIMED_FRAMES))
    for _ in segment(frames, {0: mask}, models.get(model), preset(preset_name)):
        times.append(time.monotonic())
    return float(min(np.diff(times)[-2:]))
