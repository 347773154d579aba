"""A session as updates of the page's components."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from vos.demo import canvas
from vos.demo.layout import Layout
from vos.demo.messages import duration
from vos.demo.session import Session
from vos.demo.strip import strips
from vos.segmentation.confidence import next_to_correct

Updates = dict[Any, Any]


def whole_page(layout: Layout, session: Session) -> Updates:
    """Everything, for a page that was opened or loaded anew."""
    if not session.has_clip:
        return {
            layout.start: gr.update(visible=True),
            layout.work: gr.update(visible=False),
            layout.upload: None,
        }
    clip = session.clip
    title = (
        f"<b>{escape(clip.name)}</b> {clip.size[1]} x {clip.size[0]}, {clip.frame_count} frames, "
        f"{duration(clip.seconds)}"
    )
    last = clip.frame_count - 1
    return {
        layout.start: gr.update(visible=False),
        layout.work: gr.update(visible=True),
        layout.upload: None,
        layout.title: title,
        layout.first: gr.update(value=clip.trim[0], maximum=last),
        layout.last: gr.update(value=clip.trim[1], maximum=last),
        layout.opacity: session.opacity,
        layout.file: gr.update(value=None, visible=False),
        **({layout.background: None} if session.background is None else {}),
        **stage(layout, session),
        **panel(layout, session),
    }


def stage(layout: Layout, session: Session) -> Updates:
    """The frame with its objects, the strips."""
    return {**position(layout, session), **timeline(layout, session)}


def position(layout: Layout, session: Session) -> Updates:
    """The frame that is looked at, with its objects."""
    return {
        layout.frame: gr.update(
            value=session.position,
            maximum=max(1, session.clip.frame_count - 1),
            label=_frame_label(session),
        ),
        **canvas_shows(layout, session),
    }


def canvas_shows(layout: Layout, session: Session) -> Updates:
    """The current frame with its objects."""
    return {layout.canvas: canvas.shown(session)}


def preview(layout: Layout, session: Session, index: int) -> Updates:
    """A frame that was just propagated, in the place of the current one."""
    label = f"Frame {index}, just propagated"
    return {layout.canvas: canvas.shown(session, index), layout.frame: gr.update(label=label)}


def timeline(layout: Layout, session: Session) -> Updates:
    """The strips, and what hangs on them."""
    clip = session.clip
    lowest = next_to_correct(clip.confidence, clip.marks)
    return {
        layout.strip: strips(session.objects, clip.work, clip.trim),
        layout.correct_next: gr.update(interactive=lowest is not None),
    }


def panel(layout: Layout, session: Session) -> Updates:
    """The list of objects and the fields of the chosen one."""
    items = list(session.objects)
    choices = [(item.name + ("" if item.visible else " (hidden)"), item.id) for item in items]
    updates: Updates = {
        layout.swatches: _swatches(session),
        layout.objects: gr.update(choices=choices, value=session.active),
        layout.remove: gr.update(interactive=bool(items)),
    }
    if session.active is not None:
        item = session.objects[session.active]
        updates[layout.name] = item.name
        updates[layout.colour] = item.colour
        updates[layout.visible] = item.visible
        updates[layout.locked] = item.locked
    return updates


def _frame_label(session: Session) -> str:
    clip = session.clip
    seconds = clip.times[session.position]
    marked = ", marked" if session.position in clip.marks else ""
    return f"Frame {session.position} of 0 to {clip.frame_count - 1} ({seconds:.2f} s{marked})"


def _swatches(session: Session) -> str:
    rules = "".join(
        f"#objects label:nth-of-type({number})::before{{background:{item.colour};"
        f"opacity:{1 if item.visible else 0.35}}}"
        for number, item in enumerate(session.objects, start=1)
    )
    return f"<style>{rules}</style>"
