"""Go from frame to frame, and play."""

from __future__ import annotations

import gradio as gr

from vos.demo import scene
from vos.demo.handlers.base import Handlers, reports_errors
from vos.demo.scene import Updates
from vos.demo.session import Session
from vos.segmentation.confidence import next_to_correct


class TimelineHandlers(Handlers):
    """Go from frame to frame, and play."""

    @reports_errors
    def move(self, token: str, frame: float) -> Updates:
        return self._go(self.store.get(token), round(frame))

    @reports_errors
    def go(self, token: str, event: gr.EventData) -> Updates:
        return self._go(self.store.get(token), round(float(event.frame)))

    @reports_errors
    def jump(self, token: str, event: gr.EventData) -> Updates:
        session = self.store.get(token)
        share = float(event.share)
        return self._go(session, int(share * session.clip.frame_count))

    @reports_errors
    def to_next_correction(self, token: str) -> Updates:
        session = self.store.get(token)
        lowest = next_to_correct(session.clip.confidence, session.clip.marks)
        return {} if lowest is None else self._go(session, lowest)

    @reports_errors
    def play(self, token: str, playing: bool) -> Updates:
        """Start or stop; from the end, start over."""
        session = self.store.get(token)
        if playing:
            return scene.playing(self.layout, False)
        if session.position >= session.clip.trim[1]:
            session.position = session.clip.trim[0]
        return {
            **scene.stage(self.layout, session),
            **scene.playing(self.layout, True),
        }

    @reports_errors
    def tick(self, token: str) -> Updates:
        session = self.store.get(token)
        if session.position >= session.clip.trim[1]:
            return scene.playing(self.layout, False)
        session.position += 1
        return scene.stage(self.layout, session)

    def _go(self, session: Session, frame: int) -> Updates:
        session.position = min(max(frame, 0), session.clip.frame_count - 1)
        return scene.stage(self.layout, session)
