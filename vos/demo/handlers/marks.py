"""Mark objects by brush, click, box or mask file; undo, and do again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gradio as gr
import numpy as np

from vos.demo import canvas, scene
from vos.demo.handlers.base import Handlers, reports_errors
from vos.demo.messages import message
from vos.demo.scene import Updates
from vos.demo.session import Session
from vos.errors import UsageError, VosError
from vos.media import object_ids, read_mask
from vos.media.masks import fit_to_frame
from vos.segmentation.given_masks import ANNOTATIONS
from vos.segmentation.interactive import Box


class MarkHandlers(Handlers):
    """Mark objects by brush, click, box or mask file; undo, and do again.

    What the canvas sends carries a number, by which it knows that it was taken in, and the frame
    that it was sent from.
    """

    def paint(self, token: str, event: gr.EventData) -> Updates:
        return self._answer(token, event, self._paint)

    def point(self, token: str, model: str, event: gr.EventData) -> Updates:
        def pointed(session: Session, index: int, sent: dict[str, object]) -> None:
            self._point(session, index, sent, model)

        return self._answer(token, event, pointed)

    def _answer(
        self,
        token: str,
        event: gr.EventData,
        change: Callable[[Session, int, dict[str, object]], None],
    ) -> Updates:
        """Change the frame that the canvas shows, and tell it that its message came."""
        try:
            session = self.store.get(token)
        except VosError as error:
            return self.failed(error)
        try:
            sent = dict(event.sent)
            session.answered = int(sent["serial"])
            index = int(sent["index"])
            if not 0 <= index < session.clip.frame_count:
                raise UsageError(f"There is no frame {index}")
            self.refuse_while_busy(session)
            change(session, index, sent)
            session.position = index
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            return self.failed(UsageError("The canvas sent nothing that can be read"))
        except VosError as error:
            return {**self.failed(error), **scene.stage(self.layout, session)}
        return {self.layout.problem: gr.update(visible=False), **self._marked(session)}

    @staticmethod
    def _paint(session: Session, index: int, sent: dict[str, object]) -> None:
        stroke = canvas.stroke_of(sent)
        mask = session.mask(index)
        region = canvas.stroke_region(stroke, mask.shape)
        if stroke.erases:
            painted = canvas.erase(mask, region, session)
        else:
            active = session.active if session.active is not None else session.add_object().id
            painted = canvas.give(mask, region, session.objects[active], session)
        if not np.array_equal(painted, mask):
            session.annotate(index, painted)

    def _point(self, session: Session, index: int, sent: dict[str, object], model: str) -> None:
        pointing = session.pointing_at(index)
        clicks, box = pointing.clicks, pointing.box
        if "corners" in sent:
            clicks, box = (), Box(*canvas.box_of(sent))
        else:
            clicks = (*clicks, canvas.click_of(sent))
        frame = session.ready(index, model, self.models.get(model))
        region = pointing.region(frame, clicks, box)
        if not region.any():
            raise UsageError("Nothing is left of the object: erase it instead")
        item, before = session.objects[pointing.object_id], pointing.before
        without = np.where(before == item.id, np.uint8(0), before)
        session.annotate(index, canvas.give(without, region, item, session))
        pointing.note(clicks, box, session.mask(index))

    @reports_errors
    def upload_masks(self, token: str, paths: list[str] | None) -> Updates:
        """One PNG is the mask of the current frame; others are of the frames they name."""
        if not paths:
            return {}
        session = self.store.get(token)
        self.refuse_while_busy(session)
        try:
            if len(paths) > 1 or Path(paths[0]).suffix.lower() in ANNOTATIONS:
                return self._imported(session, *session.import_masks([Path(p) for p in paths]))
            mask = fit_to_frame(paths[0], read_mask(Path(paths[0])), session.clip.size)
            if not object_ids(mask):
                raise VosError(f"{paths[0]} shows no object: it is all background")
        except VosError as error:
            said = str(error)
            for path in paths:
                said = said.replace(path, Path(path).name)
            return {**self.failed(VosError(said)), self.layout.mask_file: None}
        session.annotate(session.position, mask)
        return {**self._marked(session), self.layout.mask_file: None}

    def _imported(self, session: Session, count: int, marked: int) -> Updates:
        frames = "the mask of 1 frame" if count == 1 else f"masks of {count} frames"
        return {
            **self._marked(session),
            self.layout.status: message("done", f"Took in {frames}, {marked} of them as marks."),
            self.layout.mask_file: None,
        }

    @reports_errors
    def undo(self, token: str) -> Updates:
        session = self._between_changes(token)
        return self._changed(session, session.undo(), "There is nothing to undo.")

    @reports_errors
    def redo(self, token: str) -> Updates:
        session = self._between_changes(token)
        return self._changed(session, session.redo(), "There is nothing to do again.")

    def _between_changes(self, token: str) -> Session:
        """Return the session, with what was painted stored as the last change."""
        session = self.store.get(token)
        self.refuse_while_busy(session)
        return session

    def _changed(self, session: Session, done: str | None, otherwise: str) -> Updates:
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
