"""Propagation as the page shows it: progress, a preview, a way to stop; and what it will cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import gradio as gr
import numpy as np

from vos.demo import scene
from vos.demo.desk import Desk
from vos.demo.engine import Direction, Models, Step, plan, propagate
from vos.demo.layout import LOOK
from vos.demo.messages import duration, message, progress_bar
from vos.demo.scene import Updates
from vos.demo.session import Session
from vos.errors import VosError
from vos.machine import device_name
from vos.pipeline import segment
from vos.propagation import preset

_PREVIEW_SECONDS = 0.5
_TIMED_FRAMES = 4


def run(
    page: Desk,
    token: str,
    direction: Direction,
    model: str,
    preset_name: str,
    editor: Any,
    edition: str,
) -> Iterator[Updates]:
    """Propagate in the session of ``token``, showing how far it is and what it finds."""
    layout = page.layout
    try:
        session = page.store.get(token)
        page.refuse_while_busy(session)
        page.keep_paint(session, editor, edition)
        passes = plan(session, direction, session.position)
    except VosError as error:
        yield page.failed(error)
        return
    session.busy, session.tool, session.corner = True, LOOK, None
    session.stop.clear()
    stayed = session.position
    step: Step | None = None
    try:
        yield {
            **_busy(page, True),
            layout.problem: gr.update(visible=False),
            layout.tool: LOOK,
            layout.status: message("info", "Getting ready ..."),
            **scene.stage(layout, session),
            **scene.panel(layout, session),
        }
        shown = 0.0
        for step in propagate(
            session, page.models, model=model, preset_name=preset_name, passes=passes
        ):
            if time.monotonic() - shown < _PREVIEW_SECONDS:
                continue
            shown = time.monotonic()
            session.touched = shown
            updates = {layout.status: progress_bar(step), **scene.timeline(layout, session)}
            if session.position == stayed:  # who looks elsewhere is left alone
                updates[layout.viewer] = scene.frame_picture(session, step.index)
            yield updates
    except VosError as error:
        session.busy = False
        yield {**page.failed(error), **_busy(page, False), **scene.stage(layout, session)}
        return
    finally:
        session.busy = False
    yield {**_busy(page, False), **scene.stage(layout, session), **_finished(page, session, step)}


def _finished(page: Desk, session: Session, step: Step | None) -> Updates:
    layout = page.layout
    if step is None:
        return {layout.status: message("info", "There was nothing to propagate.")}
    if session.stop.is_set():
        text = f"Stopped after {step.done} of {step.total} frames; their masks are kept."
        return {layout.status: message("info", text)}
    text = f"{step.done} frames in {duration(step.seconds)}. Look through them, correct, download."
    return {layout.status: message("done", text), layout.direction: "onwards"}


def _busy(page: Desk, busy: bool) -> Updates:
    layout = page.layout
    return {
        layout.propagate: gr.update(
            interactive=not busy, value="Working ..." if busy else "Propagate"
        ),
        layout.stop: gr.update(visible=busy),
    }


def stop(page: Desk, token: str) -> Updates:
    """Ask the run to end after its frame."""
    try:
        page.store.get(token).stop.set()
    except VosError as error:
        return page.failed(error)
    return {page.layout.status: message("info", "Stopping after this frame ...")}


def tell_cost(page: Desk, token: str, model: str, preset_name: str) -> Updates:
    """What a frame of this video costs on this machine with this model and protocol."""
    layout = page.layout
    try:
        session = page.store.get(token)
        session.model, session.device = model, page.models.device
        if not session.has_clip:
            return {layout.cost: ""}
        seconds = seconds_a_frame(session, page.models, model, preset_name)
        device = device_name(page.models.get(model).device)
    except VosError as error:
        return {**page.failed(error), layout.cost: ""}
    first, last = session.clip.trim
    text = (
        f"About {seconds:.2g} s a frame on this machine, {device}: "
        f"{last - first + 1} frames in {duration(seconds * (last - first + 1))}."
    )
    return {layout.cost: f'<p class="hint">{text}</p>'}


_timed: dict[tuple[str, str, tuple[int, int]], float] = {}


def seconds_a_frame(session: Session, models: Models, model: str, preset_name: str) -> float:
    """Measured once a model, preset and frame size, on the first frames with a made-up object."""
    clip = session.clip
    key = (model, preset_name, clip.size)
    if key not in _timed:
        mask = np.zeros(clip.size, np.uint8)
        height, width = clip.size
        mask[height // 4 : height // 2, width // 4 : width // 2] = 1
        times = [time.monotonic()]
        frames = enumerate(islice(clip.video.read(), _TIMED_FRAMES))
        for _ in segment(frames, {0: mask}, models.get(model), preset(preset_name)):
            times.append(time.monotonic())
        _timed[key] = min(np.diff(times)[-2:].tolist())
    return _timed[key]
