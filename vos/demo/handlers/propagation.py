"""Propagate: what it will cost, the place in the queue, progress, a preview, a way to stop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import gradio as gr
import numpy as np

from vos.demo import scene
from vos.demo.handlers.base import Handlers, reports_errors
from vos.demo.layout import Layout
from vos.demo.messages import duration, message, progress_bar, waiting
from vos.demo.queue import Models, Run, RunQueue, work_of
from vos.demo.scene import Updates
from vos.demo.session import Direction, Session
from vos.demo.store import SessionStore
from vos.errors import VosError
from vos.machine import device_name
from vos.propagation import PropagationConfig, preset
from vos.segmentation import segment

if TYPE_CHECKING:
    from vos.backbones.inference import FeatureExtractor

_PREVIEW_SECONDS = 0.5
_TIMED_FRAMES, _TIMED_SECONDS = 12, 6.0


class PropagationHandlers(Handlers):
    """Propagation as the page shows it.

    `start` begins a run, which works by itself; `watch` shows it until it ends. A page that is
    loaded anew only watches.
    """

    def __init__(
        self, layout: Layout, store: SessionStore, models: Models, queue: RunQueue
    ) -> None:
        super().__init__(layout, store, models)
        self.queue = queue

    @reports_errors
    def start(
        self,
        token: str,
        direction: Direction,
        model: str,
        preset_name: str,
    ) -> Updates:
        session = self.store.get(token)
        self.refuse_while_busy(session)
        self.queue.start(session, self.models, direction, model=model, preset=preset_name)
        return {
            **self._at_work(True),
            self.layout.status: message("info", "Getting ready ..."),
            **scene.stage(self.layout, session),
            **scene.panel(self.layout, session),
        }

    def watch(self, token: str) -> Iterator[Updates]:
        """How the run of a session is getting on, until it ends; nothing where there is none."""
        # Gradio blanks every output of a generator that yields nothing.
        yield {self.layout.status: gr.skip()}
        try:
            session = self.store.get(token)
        except VosError:
            return  # whoever opened the page was told
        run = self.queue.run_of(session)
        if run is None:
            return
        yield self._at_work(True)
        stayed = session.position
        while not run.finished.wait(_PREVIEW_SECONDS):
            updates = {self.layout.status: _how_far(run)}
            if run.step is not None:
                updates |= scene.timeline(self.layout, session)
                if session.position == stayed:  # who looks elsewhere is left alone
                    updates |= scene.preview(self.layout, session, run.step.index)
            yield updates
        if self.queue.run_of(session) is run and session.has_clip:
            self.queue.forget(session)
            yield {
                **self._at_work(False),
                **scene.stage(self.layout, session),
                **self._outcome(session, run),
            }

    def stop(self, token: str) -> Updates:
        """Ask the run to end after its frame."""
        try:
            self.store.get(token).stop.set()
        except VosError as error:
            return self.failed(error)
        return {self.layout.status: message("info", "Stopping after this frame ...")}

    def _outcome(self, session: Session, run: Run) -> Updates:
        step, stopped = run.step, session.stop.is_set()
        if run.error is not None:
            return self.failed(run.error)
        if step is None:
            text = "Left the queue." if stopped else "There was nothing to propagate."
            return {self.layout.status: message("info", text)}
        if stopped:
            text = f"Stopped after {step.done} of {step.total} frames; their masks are kept."
            return {self.layout.status: message("info", text)}
        text = (
            f"{step.done} frames in {duration(step.seconds)}. Look through them, correct, download."
        )
        return {self.layout.status: message("done", text), self.layout.direction: "onwards"}

    def _at_work(self, busy: bool) -> Updates:
        return {
            self.layout.propagate: gr.update(
                interactive=not busy, value="Working ..." if busy else "Propagate"
            ),
            self.layout.stop: gr.update(visible=busy),
        }


def _how_far(run: Run) -> str:
    if run.step is not None:
        return progress_bar(run.step)
    return waiting(run.place) if run.place else message("info", "Getting ready ...")


class CostHandlers(Handlers):
    """Tell what a model and a protocol cost per frame: what the last run took, else a short one."""

    def __init__(
        self, layout: Layout, store: SessionStore, models: Models, queue: RunQueue
    ) -> None:
        super().__init__(layout, store, models)
        self._queue = queue

    def tell(self, token: str, model: str, preset_name: str) -> Updates:
        """One line below the button that starts the work."""
        cost = self.layout.cost
        try:
            session = self.store.get(token)
        except VosError:
            return {cost: ""}  # whoever opened the page was told
        try:
            session.model, session.device = model, self.models.device
            if not session.has_clip:
                return {cost: ""}
            seconds = self._seconds_per_frame(session, model, preset_name)
            device = device_name(self.models.get(model).device)
        except VosError as error:
            return {**self.failed(error), cost: ""}
        first, last = session.clip.trim
        count = last - first + 1
        text = (
            f"About {seconds:.2g} s per frame on this machine, {device}: "
            f"{count} frames in {duration(seconds * count)}."
        )
        if preset(preset_name).small_object and not session.clip.marks:
            text += " A small object is looked at more finely, which takes about 3 times as long."
        return {cost: f'<p class="hint">{text}</p>'}

    def _seconds_per_frame(self, session: Session, model: str, preset_name: str) -> float:
        work = work_of(session, self.models, model, preset_name)
        if work in self._queue.rates:
            return self._queue.rates[work]
        alone = not self._queue
        seconds = _measure(session, self.models.get(model), work.config)
        if alone and not self._queue:  # beside a run, everything takes longer
            self._queue.rates[work] = seconds
        return seconds


def _measure(session: Session, extractor: FeatureExtractor, config: PropagationConfig) -> float:
    """On the first frames, with a made-up object; later ones take longer, so the last count."""
    clip = session.clip
    mask = np.zeros(clip.size, np.uint8)
    height, width = clip.size
    mask[height // 4 : height // 2, width // 4 : width // 2] = 1
    times = [time.monotonic()]
    frames = enumerate(islice(clip.video.read(), _TIMED_FRAMES))
    for _ in segment(frames, {0: mask}, extractor, config):
        times.append(time.monotonic())
        if len(times) > 3 and times[-1] - times[0] > _TIMED_SECONDS:
            break
    return float(np.diff(times)[-3:].mean())
