"""What all handlers of the page share: the session at hand, and errors shown in one line."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import gradio as gr
import numpy as np

from vos.demo.layout import Layout
from vos.demo.messages import message
from vos.demo.queue import Models
from vos.demo.scene import Updates
from vos.demo.session import Direction, Session
from vos.demo.store import SessionStore
from vos.errors import VosError

WAIT = "Propagation is running: stop it first, or wait until it is done"


def reports_errors(handler: Callable[..., Updates]) -> Callable[..., Updates]:
    """Show what went wrong as one line on the page."""

    @functools.wraps(handler)
    def guarded(self: Handlers, *arguments: Any) -> Updates:
        try:
            return {self.layout.problem: gr.update(visible=False), **handler(self, *arguments)}
        except VosError as error:
            return self.failed(error)

    return guarded


class Handlers:
    """Handle what visitors do on one part of the page; the work itself is in the session."""

    def __init__(self, layout: Layout, store: SessionStore, models: Models) -> None:
        self.layout = layout
        self.store = store
        self.models = models

    def failed(self, error: Exception) -> Updates:
        text = message("error", str(error))
        return {
            self.layout.problem: gr.update(value=text, visible=True),
            self.layout.status: "",
        }

    @staticmethod
    def next_direction(session: Session) -> Direction:
        """Return where to propagate next: the whole video at first, then from a frame on."""
        clip = session.clip
        propagated = len(clip.marks) < int((~np.isnan(clip.confidence)).sum())
        return "onwards" if propagated else "whole"

    def next_step(self, session: Session) -> Updates:
        return {
            self.layout.direction: self.next_direction(session),
            self.layout.status: message(
                "done", f"Frame {session.position} is marked. Propagate when you are ready."
            ),
        }

    @staticmethod
    def refuse_while_busy(session: Session) -> None:
        if session.busy:
            raise VosError(WAIT)
