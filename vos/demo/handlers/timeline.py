"""Go from frame to frame, and play."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from vos.demo import scene
from vos.demo.handlers.base import Handlers, reports_errors
from vos.demo.messages import message
from vos.demo.playback import frames_ahead
from vos.demo.scene import Updates
from vos.demo.session import Session
from vos.demo.store import SessionStore
from vos.demo.strip import least_sure
from vos.errors import VosError
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
        """Go where an object is least sure of all, and take that object in hand."""
        session = self.store.get(token)
        work = session.clip.work
        frame = next_to_correct(work.confidence, work.marks)
        return {} if frame is None else self._correct(session, frame, work.least_sure_object(frame))

    @reports_errors
    def to_worst(self, token: str, event: gr.EventData) -> Updates:
        """Take an object in hand, and go where it is least sure."""
        session = self.store.get(token)
        work, object_id = session.clip.work, int(event.object)
        confidence = work.object_confidence.get(object_id)
        frame = None if confidence is None else next_to_correct(confidence, work.marks)
        return self._correct(session, session.position if frame is None else frame, object_id)

    def _correct(self, session: Session, frame: int, object_id: int | None) -> Updates:
        text = f"Frame {frame} is the least sure one."
        if object_id is not None and object_id in session.objects:
            session.active = object_id
            known = session.clip.work.object_confidence.get(object_id)
            name = session.objects[object_id].name
            text = f"{name} is in hand."
            if known is not None and session.has_mask(frame):
                text = f"{name} is in hand, {least_sure(known, frame)}."
        return {
            **self._go(session, frame),
            **scene.panel(self.layout, session),
            self.layout.status: message("info", text),
        }

    @reports_errors
    def plays(self, token: str, event: gr.EventData) -> Updates:
        """The canvas began to play, or ended."""
        label = "⏸ Pause" if event.plays else "▶ Play"
        return {self.layout.play: label}

    def _go(self, session: Session, frame: int) -> Updates:
        session.position = min(max(frame, 0), session.clip.frame_count - 1)
        return scene.position(self.layout, session)


def player(store: SessionStore) -> Callable[[Any], Any]:
    """Return what the canvas calls for pictures to play."""

    def pictures(asked: Any) -> Any:
        try:
            session = store.get(asked["token"])
            return frames_ahead(session, *(int(asked[name]) for name in ("frame", "step", "count")))
        except VosError as error:
            return {"error": str(error)}
        except (KeyError, TypeError, ValueError, OverflowError):
            return {"error": "The canvas asked for nothing that can be read"}

    return pictures
