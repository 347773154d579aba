"""Open and close a video, and meet a page that comes and goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gradio as gr

from vos.demo import scene
from vos.demo.handlers.base import Handlers, reports_errors
from vos.demo.layout import Layout
from vos.demo.messages import NO_PLACE, message
from vos.demo.queue import Models
from vos.demo.scene import Updates
from vos.demo.session import Session, remove_unused
from vos.demo.store import NoPlaceError, SessionStore
from vos.errors import UsageError, VosError, near_names


class VideoHandlers(Handlers):
    """Open and close a video, and meet a page that comes and goes."""

    def __init__(
        self, layout: Layout, store: SessionStore, models: Models, examples: Mapping[str, Path]
    ) -> None:
        super().__init__(layout, store, models)
        self.examples = examples

    @reports_errors
    def hello(self, ticket: str, request: gr.Request) -> Updates:
        """A page was opened, or loaded anew: find its session by the token its tab keeps."""
        try:
            session = self.store.open(ticket, view=request.session_hash)
        except NoPlaceError:
            return {self.layout.problem: gr.update(value=NO_PLACE, visible=True)}
        return {self.layout.token: ticket, **scene.whole_page(self.layout, session)}

    def goodbye(self, request: gr.Request) -> None:
        """A page was closed, or is about to be loaded anew."""
        self.store.leave(request.session_hash or "")

    @reports_errors
    def open_upload(self, token: str, path: str | None) -> Updates:
        if path is None:
            return {}
        session = self.store.get(token)
        self.refuse_while_busy(session)
        upload = Path(path)
        if session.opened_from(upload):  # a recording may be announced twice
            return {}
        if upload.stat().st_size == 0:
            empty = VosError(f"{upload.name} is empty: record for a second or longer")
            return {**self.failed(empty), self.layout.upload: None}
        try:
            self.store.check_room()
        except VosError as full:
            remove_unused(upload)
            return {**self.failed(full), self.layout.upload: None}
        taken = session.adopt(upload)
        try:
            return self._opened(session, taken, upload.stem)
        except VosError as error:
            said = VosError(str(error).replace(str(taken), upload.name))
            return {**self.failed(said), self.layout.upload: None}

    @reports_errors
    def open_example(self, token: str, name: str) -> Updates:
        session = self.store.get(token)
        self.refuse_while_busy(session)
        return self._opened(session, self._example(name), name)

    @reports_errors
    def open_project(self, token: str, path: str | None) -> Updates:
        if path is None:
            return {}
        session = self.store.get(token)
        self.refuse_while_busy(session)
        try:
            self.store.check_room()
            session.open_project(Path(path))
        except VosError as error:
            said = VosError(str(error).replace(path, Path(path).name))
            return {**self.failed(said), self.layout.project: None}
        finally:
            Path(path).unlink(missing_ok=True)
        return {
            **scene.whole_page(self.layout, session),
            self.layout.project: None,
            self.layout.direction: self.next_direction(session),
            self.layout.status: message("done", "The project is open: go on where you were."),
        }

    def _example(self, name: str) -> Path:
        if name not in self.examples:
            raise UsageError(f"there is no example {name!r}: {near_names(name, self.examples)}")
        return self.examples[name]

    def _opened(self, session: Session, path: Path, name: str) -> Updates:
        session.open(path, name=name)
        return {
            **scene.whole_page(self.layout, session),
            self.layout.direction: "whole",
            self.layout.status: message(
                "info", "Choose Points, Box or Brush above the frame and mark an object."
            ),
        }

    @reports_errors
    def close(self, token: str) -> Updates:
        session = self.store.get(token)
        self.refuse_while_busy(session)
        session.discard()
        return {**scene.whole_page(self.layout, session), self.layout.status: ""}
