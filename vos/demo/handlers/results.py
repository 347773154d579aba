"""Trim the video, and prepare downloads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gradio as gr

from vos.demo import scene
from vos.demo.downloads import write_download
from vos.demo.handlers.base import Handlers, reports_errors
from vos.demo.layout import Layout
from vos.demo.messages import message
from vos.demo.queue import Models, RunQueue
from vos.demo.scene import Updates
from vos.demo.session import remove_unused
from vos.demo.store import SessionStore
from vos.errors import VosError
from vos.media.compositing import BACKGROUND


class ResultHandlers(Handlers):
    """Trim the video, and prepare downloads."""

    def __init__(
        self, layout: Layout, store: SessionStore, models: Models, queue: RunQueue
    ) -> None:
        super().__init__(layout, store, models)
        self.queue = queue

    @reports_errors
    def trim(self, token: str, first: float | None, last: float | None) -> Updates:
        session = self.store.get(token)
        if not session.has_clip:  # the fields get their first values when the page is loaded
            return {}
        end = session.clip.frame_count - 1
        start = min(max(round(first or 0), 0), end)
        stop = min(max(round(end if last is None else last), start), end)
        session.clip.trim = (start, stop)
        return scene.timeline(self.layout, session)

    def choose_format(self, key: str) -> Updates:
        """Ask for a picture where the format needs one; what "Prepare" just said stays."""
        return {self.layout.background: gr.update(visible=key == BACKGROUND)}

    @reports_errors
    def take_background(self, token: str, path: str | None) -> Updates:
        if path is None:
            return {}
        session, picture = self.store.get(token), Path(path)
        try:
            self.store.check_room()
            session.adopt_background(picture)
        except VosError as error:
            remove_unused(picture)
            said = VosError(str(error).replace(path, picture.name))
            return {**self.failed(said), self.layout.background: None}
        text = f"{picture.name} goes behind the objects."
        return {self.layout.status: message("done", text)}

    @reports_errors
    def prepare(self, token: str, key: str, progress: gr.Progress | None = None) -> Updates:
        session = self.store.get(token)
        self.refuse_while_busy(session)
        self.store.check_room()
        report = (lambda done, total: None) if progress is None else _reporter(progress)
        if key == "pca":  # as long as a propagation
            report(0, 0)
            with self.queue.turn():
                path = write_download(session, key, report)
        else:
            path = write_download(session, key, report)
        size = path.stat().st_size / 1e6
        return {
            self.layout.file: gr.update(value=str(path), visible=True),
            self.layout.status: message("done", f"{path.name} is ready ({size:.1f} MB)."),
        }


def _reporter(progress: gr.Progress) -> Callable[[int, int], None]:
    def report(done: int, total: int) -> None:
        if total:
            progress((done, total), desc="Writing", unit="frames")
        else:
            progress(0, desc="Waiting for its turn")

    return report
