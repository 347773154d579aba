"""Going from frame to frame."""

from __future__ import annotations

from typing import Any

import gradio as gr

from vos.demo import scene
from vos.demo.confidence import next_to_correct
from vos.demo.desk import Desk, told
from vos.demo.layout import LOOK
from vos.demo.scene import Updates
from vos.demo.session import Session


class Moving(Desk):
    """Going from frame to frame."""

    @told
    def move(self, token: str, frame: float, editor: Any, edition: str) -> Updates:
        return self._go(self.store.get(token), round(frame), editor, edition)

    @told
    def step_back(self, token: str, editor: Any, edition: str) -> Updates:
        session = self.store.get(token)
        return self._go(session, session.position - 1, editor, edition)

    @told
    def step_forth(self, token: str, editor: Any, edition: str) -> Updates:
        session = self.store.get(token)
        return self._go(session, session.position + 1, editor, edition)

    @told
    def jump(self, token: str, editor: Any, edition: str, event: gr.EventData) -> Updates:
        session = self.store.get(token)
        share = float(event._data.get("share", 0))
        return self._go(session, int(share * session.clip.frame_count), editor, edition)

    @told
    def to_unsure(self, token: str, editor: Any, edition: str) -> Updates:
        session = self.store.get(token)
        lowest = next_to_correct(session.clip.confidence, session.clip.annotated)
        return {} if lowest is None else self._go(session, lowest, editor, edition)

    @told
    def play(self, token: str, playing: bool, editor: Any, edition: str) -> Updates:
        """Start or stop; from the end, start over."""
        session = self.store.get(token)
        self.keep_paint(session, editor, edition)
        if playing:
            return scene.playing(self.layout, False)
        session.tool = LOOK
        if session.position >= session.clip.trim[1]:
            session.position = session.clip.trim[0]
        return {
            self.layout.tool: LOOK,
            **scene.stage(self.layout, session),
            **scene.playing(self.layout, True),
        }

    @told
    def tick(self, token: str) -> Updates:
        session = self.store.get(token)
        if session.position >= session.clip.trim[1]:
            return scene.playing(self.layout, False)
        session.position += 1
        return scene.stage(self.layout, session)

    def _go(self, session: Session, frame: int, editor: Any, edition: str) -> Updates:
        kept = self.keep_paint(session, editor, edition)
        session.position = min(max(frame, 0), session.clip.frame_count - 1)
        session.corner = None
        return {**kept, **scene.stage(self.layout, session)}
