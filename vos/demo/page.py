"""The page: components of `layout`, wired to `handlers`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from vos.demo.api import add_endpoint
from vos.demo.cost import Costs
from vos.demo.engine import Models
from vos.demo.guard import GuardedBlocks
from vos.demo.layout import Layout, build_layout
from vos.demo.listing import Listing
from vos.demo.marking import Marking
from vos.demo.moving import Moving
from vos.demo.opening import Opening
from vos.demo.running import Running
from vos.demo.store import SessionStore
from vos.demo.taking import Taking
from vos.demo.turns import Turns
from vos.propagation import PRESETS

FOLDER = Path(__file__).parent
QUICK = "quick"  # short work of the models, one at a time; long work waits in `Turns`
_PROGRESS = gr.Progress()
_SILENT: dict[str, Any] = {"show_progress": "hidden"}


def build_page(
    store: SessionStore,
    models: Models,
    turns: Turns,
    *,
    model_names: list[str],
    examples: dict[str, Path],
) -> gr.Blocks:
    """The page as a Gradio app, not launched yet."""
    limits = store.limits
    with GuardedBlocks(
        title="vos: objects through a video",
        analytics_enabled=False,
        delete_cache=(600, int(limits.idle_seconds)),
        fill_width=True,
    ) as page:
        layout = build_layout(
            models=model_names,
            presets=list(PRESETS),
            examples=list(examples),
            limits=limits,
        )
        _wire(page, layout, store, models, turns, examples)
        add_endpoint(store, models, turns, model_names)
    page.queue(default_concurrency_limit=8, max_size=64)
    return page


def _wire(
    page: gr.Blocks,
    layout: Layout,
    store: SessionStore,
    models: Models,
    turns: Turns,
    examples: dict[str, Path],
) -> None:
    opening = Opening(layout, store, models, examples)
    moving = Moving(layout, store, models)
    marking = Marking(layout, store, models)
    listing = Listing(layout, store, models)
    taking = Taking(layout, store, models, turns)
    costs = Costs(layout, store, models, turns)
    running = Running(layout, store, models, turns)
    everything = [getattr(layout, name) for name in layout.__dataclass_fields__ if name != "ticket"]
    token, editor = layout.token, (layout.editor, layout.edition)

    def on(event: Any, handler: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
        settings = {**_SILENT, "api_visibility": "private", **options}
        return event(handler, [*inputs], everything, **settings)

    opened = [
        *(on(given, opening.open_upload, token, layout.upload, show_progress="full",
             show_progress_on=layout.upload)
          for given in (layout.upload.input, layout.upload.stop_recording)),
        on(layout.open_example.click, opening.open_example, token, layout.example,
           show_progress="full", show_progress_on=layout.example),
    ]  # fmt: skip
    greeted = on(page.load, opening.hello, layout.ticket, js=_HELLO_JS)
    page.unload(opening.goodbye)
    on(layout.close.click, opening.close, token)

    quick = {"concurrency_id": QUICK, "concurrency_limit": 1}
    latest = {"trigger_mode": "always_last"}
    on(layout.frame.input, moving.move, token, layout.frame, *editor, **latest)
    on(layout.back.click, moving.step_back, token, *editor, trigger_mode="multiple")
    on(layout.forth.click, moving.step_forth, token, *editor, trigger_mode="multiple")
    on(layout.strip.click, moving.jump, token, *editor)
    on(layout.unsure.click, moving.to_unsure, token, *editor)
    playing = gr.State(False)
    on(layout.play.click, moving.play, token, playing, *editor)
    on(layout.timer.tick, moving.tick, token, trigger_mode="once")
    layout.play.change(lambda label: "⏸" in (label or ""), layout.play, playing,
                       api_visibility="private", **_SILENT)  # fmt: skip

    on(layout.tool.input, marking.choose_tool, token, layout.tool, *editor)
    on(layout.viewer.select, marking.click, token, layout.take_away, layout.similarity,
       layout.model, layout.preset, **quick,
       show_progress="minimal", show_progress_on=layout.viewer)  # fmt: skip
    on(layout.mask_file.upload, marking.upload_mask, token, layout.mask_file, *editor)
    on(layout.undo.click, marking.undo, token, *editor)
    on(layout.forget.click, marking.forget, token)

    on(layout.objects.input, listing.choose_object, token, layout.objects, *editor)
    on(layout.add.click, listing.add_object, token, *editor)
    on(layout.remove.click, listing.remove_object, token, *editor)
    on(layout.name.submit, listing.rename, token, layout.name)
    on(layout.name.blur, listing.rename, token, layout.name)
    on(layout.colour.input, listing.recolour, token, layout.colour, *editor, **latest)
    on(layout.visible.input, listing.show_or_hide, token, layout.visible, *editor)
    on(layout.opacity.input, listing.set_opacity, token, layout.opacity, **latest)

    trimmed = [
        on(number.change, taking.trim, token, layout.first, layout.last)
        for number in (layout.first, layout.last)
    ]
    for event in (*opened, greeted, *trimmed):
        on(event.then, costs.tell, token, layout.model, layout.preset, **quick)
    for choice in (layout.model, layout.preset):
        on(choice.input, costs.tell, token, layout.model, layout.preset, **quick)

    started = on(layout.propagate.click, running.start, token, layout.direction, layout.model,
                 layout.preset, *editor)  # fmt: skip
    for event in (started, greeted):
        on(event.then, running.watch, token, concurrency_id="watch", concurrency_limit=None)
    on(layout.stop.click, running.stop, token, queue=False)
    on(layout.prepare.click, _with_progress(taking), token, layout.format, *editor,
       show_progress="full", show_progress_on=layout.file)  # fmt: skip


def _with_progress(taking: Taking) -> Callable[..., Any]:
    def prepare(token: str, key: str, editor: Any, edition: str, progress: Any = _PROGRESS) -> Any:
        return taking.prepare(token, key, editor, edition, progress)

    return prepare


def page_assets() -> dict[str, Any]:
    """Look and behaviour, for ``launch``. Fonts are those of the machine: nothing is fetched."""
    return {
        "theme": gr.themes.Soft(
            primary_hue="teal",
            font=["system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ),
        "css": (FOLDER / "page.css").read_text(encoding="utf-8"),
        "head": f"<script>{(FOLDER / 'page.js').read_text(encoding='utf-8')}</script>",
    }


# A tab keeps its token through a reload; another tab has another one.
_HELLO_JS = """
() => {
  let token = sessionStorage.getItem('vos-session');
  if (!token) {
    const bytes = crypto.getRandomValues(new Uint8Array(32));
    token = Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');
    sessionStorage.setItem('vos-session', token);
  }
  return [token];
}
"""
