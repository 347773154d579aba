"""Change the list of objects: names, colours, what is shown."""

from __future__ import annotations

from vos.demo import scene
from vos.demo.handlers.base import Handlers, reports_errors
from vos.demo.messages import message
from vos.demo.scene import Updates
from vos.demo.session import Session


class ObjectListHandlers(Handlers):
    """Change the list of objects: names, colours, what is shown."""

    @reports_errors
    def choose_object(self, token: str, object_id: int | None) -> Updates:
        session = self.store.get(token)
        session.active = object_id if object_id in session.objects else session.active
        return self._chosen(session)

    @reports_errors
    def add_object(self, token: str) -> Updates:
        session = self.store.get(token)
        session.clip  # noqa: B018  # says that there is none
        session.add_object()
        return self._chosen(session)

    @reports_errors
    def remove_object(self, token: str) -> Updates:
        session = self.store.get(token)
        self.refuse_while_busy(session)
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
        return self._chosen(session)

    @reports_errors
    def recolour(self, token: str, colour: str) -> Updates:
        session = self.store.get(token)
        if session.active is not None:
            session.objects.change(session.active, colour=colour)
        return self._objects_changed(session)

    @reports_errors
    def show_or_hide(self, token: str, visible: bool) -> Updates:
        session = self.store.get(token)
        if session.active is not None:
            session.objects.change(session.active, visible=visible)
        return self._objects_changed(session)

    @reports_errors
    def lock(self, token: str, locked: bool) -> Updates:
        session = self.store.get(token)
        if session.active is not None:
            session.objects.change(session.active, locked=locked)
        return scene.panel(self.layout, session)

    @reports_errors
    def set_opacity(self, token: str, opacity: float) -> Updates:
        session = self.store.get(token)
        session.opacity = min(1.0, max(0.0, float(opacity)))
        return scene.canvas_shows(self.layout, session)

    def _chosen(self, session: Session) -> Updates:
        """Another object in hand, or another name for it."""
        return {**scene.panel(self.layout, session), **scene.canvas_shows(self.layout, session)}

    def _objects_changed(self, session: Session) -> Updates:
        return {**scene.stage(self.layout, session), **scene.panel(self.layout, session)}
