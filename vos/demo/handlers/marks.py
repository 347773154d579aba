"""Mark objects by brush, click, box or mask file; undo, and do again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from vos.demo import canvas, regions, scene
from vos.demo.handlers.base import WAIT, Handlers, reports_errors
from vos.demo.layout import BOX, CLICK, LOOK
from vos.demo.messages import message
from vos.demo.scene import Updates
from vos.demo.session import Session
from vos.errors import VosError
from vos.media import object_ids, read_mask
from vos.propagation import preset


class MarkHandlers(Handlers):
    """Mark objects by brush, click, box or mask file; undo, and do again."""

    @reports_errors
    def choose_tool(self, token: str, tool: str, editor: Any, edition: str) -> Updates:
        session = self.store.get(token)
        if session.busy and tool != LOOK:
            return {**self.failed(VosError(WAIT)), self.layout.tool: LOOK}
        kept = self.keep_paint(session, editor, edition)
        session.tool, session.corner = tool, None
        return {**kept, **scene.stage(self.layout, session), **scene.playing(self.layout, False)}

    @reports_errors
    def click(
        self,
        token: str,
        take_away: bool,
        similarity: float,
        model: str,
        preset_name: str,
        event: gr.SelectData,
    ) -> Updates:
        session = self.store.get(token)
        if session.tool not in (CLICK, BOX):
            return {}
        self.refuse_while_busy(session)
        frame = session.clip.frames[session.position]
        point = _full_size(event.index, frame.shape[:2])
        if session.tool == CLICK:
            region = regions.region_around(
                frame,
                point,
                self.models.get(model),
                preset(preset_name),
                similarity=similarity,
            )
        elif session.corner is None:
            session.corner = point
            return scene.stage(self.layout, session)
        else:
            corner, session.corner = session.corner, None
            region = regions.region_in_box(frame, corner, point)
        return self._mark(session, region, take_away)

    def _mark(self, session: Session, region: np.ndarray, take_away: bool) -> Updates:
        active = session.active if session.active is not None else session.add_object().id
        mask = session.mask(session.position)
        change = regions.take_region if take_away else regions.add_region
        session.annotate(session.position, change(mask, region, active))
        return self._marked(session)

    @reports_errors
    def upload_mask(self, token: str, path: str | None, editor: Any, edition: str) -> Updates:
        if path is None:
            return {}
        session = self.store.get(token)
        self.refuse_while_busy(session)
        self.keep_paint(session, editor, edition)
        try:
            mask = read_mask(Path(path), size=session.clip.size)
            if not object_ids(mask):
                raise VosError(f"{path} shows no object: it is all background")
        except VosError as error:
            said = VosError(str(error).replace(path, Path(path).name))
            return {**self.failed(said), self.layout.mask_file: None}
        session.annotate(session.position, mask)
        return {**self._marked(session), self.layout.mask_file: None}

    @reports_errors
    def undo(self, token: str, editor: Any, edition: str) -> Updates:
        session = self._between_changes(token, editor, edition)
        return self._changed(session, session.undo(), "There is nothing to undo.")

    @reports_errors
    def redo(self, token: str, editor: Any, edition: str) -> Updates:
        session = self._between_changes(token, editor, edition)
        return self._changed(session, session.redo(), "There is nothing to do again.")

    def _between_changes(self, token: str, editor: Any, edition: str) -> Session:
        """Return the session, with what was painted stored as the last change."""
        session = self.store.get(token)
        self.refuse_while_busy(session)
        self.keep_paint(session, editor, edition)
        return session

    def _changed(self, session: Session, done: str | None, otherwise: str) -> Updates:
        session.corner = None
        return {
            **scene.stage(self.layout, session),
            **scene.panel(self.layout, session),
            self.layout.direction: self.next_direction(session),
            self.layout.status: message("done", done) if done else message("info", otherwise),
        }

    @reports_errors
    def forget(self, token: str) -> Updates:
        session = self.store.get(token)
        self.refuse_while_busy(session)
        session.forget_annotation(session.position)
        return {
            **scene.stage(self.layout, session),
            self.layout.status: message("done", f"Frame {session.position} is cleared."),
        }

    def _marked(self, session: Session) -> Updates:
        """After a mark: the next step is to propagate, from here on once there are masks."""
        return {
            **scene.stage(self.layout, session),
            **scene.panel(self.layout, session),
            **self.next_step(session),
        }


def _full_size(shown: Any, size: tuple[int, int]) -> tuple[int, int]:
    """Return (x, y) on the frame, from (x, y) on the picture of it that the page shows."""
    height, width = canvas.picture_size(size)
    x = (float(shown[0]) + 0.5) * size[1] / width
    y = (float(shown[1]) + 0.5) * size[0] / height
    return min(max(int(x), 0), size[1] - 1), min(max(int(y), 0), size[0] - 1)
