"""Change the list of objects: names, colours, what is shown."""

from __future__ import annotations

from typing import Any

import gradio as gr

from vos.demo import scene
from vos.demo.handlers.base import Handlers, reports_errors
from vos.demo.layout import PAINT
from vos.demo.messages import message
from vos.demo.scene import Updates
from vos.demo.session import Session


class ObjectListHandlers(Handlers):
    """Change the list of objects: names, colours, what is shown."""

    @reports_errors
    def choose_object(
        self, token: str, object_id: int | None, editor: Any, edition: str
    ) -> Updates:
        session = self.store.get(token)
        kept = self.keep_paint(session, editor, edition)
        session.active = object_id if object_id in session.objects else session.active
        return {**kept, **self._chosen(session)}

    @reports_errors
    def add_object(self, token: str, editor: Any, edition: str) -> Updates:
        session = self.store.get(token)
        session.clip  # noqa: B018  # says that there is none
        kept = self.keep_paint(session, editor, edition)
        session.add_object()
        return {**kept, **self._chosen(session)}

    @reports_errors
    def remove_object(self, token: str, editor: Any, edition: str) -> Updates:
        session = self.store.get(token)
        self.refuse_while_busy(session)
        self.keep_paint(session, editor, edition)
        updates: Updates = {}
        if session.active is not None:
            removed = session.remove_object(session.active)
            text = f"{removed.name} is removed from every frame; Undo brings it back."
            updates[self.layout.status] = message("done", text)
        return {**updates, **self._objects_changed(session)}

    @reports_errors
    def rename(self, token: str, name: str) -> Updates:
        session = self.store.get(token)
        if session.active is not None:
            session.objects.change(session.active, name=name)
        return {**scene.panel(self.layout, session), self.layout.hint: scene.hint(session)}

    @reports_errors
    def recolour(self, token: str, colour: str, editor: Any, edition: str) -> Updates:
        session = self.store.get(token)
        kept = self.keep_paint(session, editor, edition)
        if session.active is not None:
            session.objects.change(session.active, colour=colour)
        return {**kept, **self._objects_changed(session)}

    @reports_errors
    def show_or_hide(self, token: str, visible: bool, editor: Any, edition: str) -> Updates:
        session = self.store.get(token)
        kept = self.keep_paint(session, editor, edition)
        if session.active is not None:
            session.objects.change(session.active, visible=visible)
        return {**kept, **self._objects_changed(session)}

    @reports_errors
    def set_opacity(self, token: str, opacity: float) -> Updates:
        session = self.store.get(token)
        session.opacity = min(1.0, max(0.0, float(opacity)))
        if session.tool == PAINT:
            return {}
        return {self.layout.viewer: scene.frame_picture(session)}

    def _chosen(self, session: Session) -> Updates:
        """Another brush: what is painted stays in the editor."""
        updates = {**scene.panel(self.layout, session), self.layout.hint: scene.hint(session)}
        if session.tool == PAINT:
            updates[self.layout.editor] = gr.update(brush=scene.brush(session))
        return updates

    def _objects_changed(self, session: Session) -> Updates:
        return {**scene.stage(self.layout, session), **scene.panel(self.layout, session)}
