"""Propagation as the page shows it: its place in the queue, progress, a preview, a way to stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from vos.demo import scene
from vos.demo.desk import Desk, told
from vos.demo.engine import Direction, Models, plan
from vos.demo.layout import LOOK, Layout
from vos.demo.messages import duration, message, progress_bar, waiting
from vos.demo.run import Run
from vos.demo.scene import Updates
from vos.demo.session import Session
from vos.demo.store import SessionStore
from vos.demo.turns import Turns
from vos.errors import VosError

_PREVIEW_SECONDS = 0.5


class Running(Desk):
    """Propagation as the page shows it.

    `start` begins a run, which works by itself; `watch` shows it until it ends. A page that is
    loaded anew only watches.
    """

    def __init__(self, layout: Layout, store: SessionStore, models: Models, turns: Turns) -> None:
        super().__init__(layout, store, models)
        self.turns = turns

    @told
    def start(
        self,
        token: str,
        direction: Direction,
        model: str,
        preset_name: str,
        editor: Any,
        edition: str,
    ) -> Updates:
        session = self.store.get(token)
        self.refuse_while_busy(session)
        self.keep_paint(session, editor, edition)
        passes = plan(session, direction, session.position)
        session.tool, session.corner = LOOK, None
        Run(
            session, self.models, self.turns, model=model, preset_name=preset_name, passes=passes
        ).start()
        return {
            **self._at_work(True),
            self.layout.tool: LOOK,
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
        run = session.run
        if run is None:
            return
        yield self._at_work(True)
        stayed = session.position
        while not run.finished.wait(_PREVIEW_SECONDS):
            updates = {self.layout.status: _how_far(run)}
            if run.step is not None:
                updates |= scene.timeline(self.layout, session)
                if session.position == stayed:  # who looks elsewhere is left alone
                    updates[self.layout.viewer] = scene.frame_picture(session, run.step.index)
            yield updates
        if session.run is run and session.has_clip:
            session.run = None
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
