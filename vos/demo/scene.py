"""A session as updates of the page's components."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from vos.demo import canvas, views
from vos.demo.layout import BOX, CLICK, LOOK, PAINT, Layout
from vos.demo.messages import duration
from vos.demo.session import Session
from vos.demo.strip import strip
from vos.segmentation.confidence import next_to_correct

Updates = dict[Any, Any]

_HINTS = {
    LOOK: "Go to a frame with the slider, the strip or the arrow keys; space plays.",
    PAINT: "Paint <b>{name}</b>; the eraser takes away. What you paint is kept when you go on.",
    CLICK: "Click on a part of <b>{name}</b>: the region that looks alike is marked.",
    BOX: "Click on two opposite corners around <b>{name}</b>: its outline is found.",
}


def whole_page(layout: Layout, session: Session) -> Updates:
    """Everything, for a page that was opened or loaded anew."""
    session.tool = LOOK
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
        layout.tool: session.tool,
        layout.first: gr.update(value=clip.trim[0], maximum=last),
        layout.last: gr.update(value=clip.trim[1], maximum=last),
        layout.opacity: session.opacity,
        layout.file: gr.update(value=None, visible=False),
        **stage(layout, session),
        **panel(layout, session),
    }


def stage(layout: Layout, session: Session) -> Updates:
    """The frame with its objects (or the editor), the strip, the timeline."""
    clip = session.clip
    painting = session.tool == PAINT
    updates: Updates = {
        layout.frame: gr.update(
            value=session.position,
            maximum=max(1, clip.frame_count - 1),
            label=_frame_label(session),
        ),
        layout.viewer: gr.update(visible=not painting),
        # The editor must have its size when it is filled: it is put out of sight, not removed.
        layout.easel: gr.update(elem_classes=[] if painting else ["away"]),
        **timeline(layout, session),
    }
    if painting:
        session.editing = session.position
        session.edition += 1
        updates[layout.edition] = str(session.edition)
        value = views.editor_value(session, session.position)
        updates[layout.editor] = gr.update(value=value, brush=brush(session))
    else:
        session.editing = None
        updates[layout.editor] = None
        updates[layout.viewer] = gr.update(visible=True, value=frame_picture(session))
    updates[layout.hint] = hint(session)
    return updates


def frame_picture(session: Session, index: int | None = None) -> str:
    """Path of the picture of a frame, the current one unless told."""
    shown = session.position if index is None else index
    corner = session.corner if index is None else None
    return str(views.picture(session, shown, opacity=session.opacity, corner=corner))


def timeline(layout: Layout, session: Session) -> Updates:
    """The strip, and what hangs on it."""
    clip = session.clip
    lowest = next_to_correct(clip.confidence, clip.marks)
    picture = strip(clip.confidence, clip.marks, session.position, trim=clip.trim, lowest=lowest)
    return {layout.strip: picture, layout.correct_next: gr.update(interactive=lowest is not None)}


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
    return updates


def playing(layout: Layout, active: bool) -> Updates:
    """The clock and the button that starts and stops it."""
    return {
        layout.timer: gr.Timer(active=active),
        layout.play: "⏸ Pause" if active else "▶ Play",
    }


def hint(session: Session) -> str:
    name = "an object" if session.active is None else session.objects[session.active].name
    text = _HINTS[session.tool].format(name=escape(name))
    if session.tool == BOX and session.corner is not None:
        text = "Now click on the opposite corner."
    return f'<p class="hint"{_edition(session)}>{text}</p>'


def _edition(session: Session) -> str:
    """Tells `page.js` what the editor was given: until it has taken that in, hands are kept off."""
    return "" if session.editing is None else f' data-edition="{session.edition}"'


def _frame_label(session: Session) -> str:
    clip = session.clip
    seconds = clip.times[session.position]
    marked = ", marked" if session.position in clip.marks else ""
    return f"Frame {session.position} of 0 to {clip.frame_count - 1} ({seconds:.2f} s{marked})"


def brush(session: Session) -> gr.Brush:
    """Return the colours of all objects, the chosen one's in hand."""
    colours = [item.colour for item in session.objects] or ["#e6194b"]
    chosen = colours[0] if session.active is None else session.objects[session.active].colour
    size = max(6, min(canvas.editor_size(session.clip.size)) // 14)
    return gr.Brush(
        colors=colours, default_color=chosen, color_mode="fixed", default_size=min(size, 28)
    )


def _swatches(session: Session) -> str:
    rules = "".join(
        f"#objects label:nth-of-type({number})::before{{background:{item.colour};"
        f"opacity:{1 if item.visible else 0.35}}}"
        for number, item in enumerate(session.objects, start=1)
    )
    return f"<style>{rules}</style>"
