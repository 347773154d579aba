"""The page: components of `layout`, wired to `handlers`.

Files that visitors name are only those they uploaded, never a path or an address of their choice:
Gradio itself refuses paths outside its upload folder; it would fetch addresses, which are refused
here before anything is looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from vos.demo.api import add_endpoint
from vos.demo.handlers.marks import MarkHandlers
from vos.demo.handlers.object_list import ObjectListHandlers
from vos.demo.handlers.propagation import CostHandlers, PropagationHandlers
from vos.demo.handlers.results import ResultHandlers
from vos.demo.handlers.timeline import TimelineHandlers, player
from vos.demo.handlers.video import VideoHandlers
from vos.demo.layout import Layout, build_layout
from vos.demo.queue import Models, RunQueue
from vos.demo.store import SessionStore
from vos.propagation import PRESETS

FOLDER = Path(__file__).parent
QUICK = "quick"  # short work of the models, one at a time; long work waits in `RunQueue`
_PROGRESS = gr.Progress()
_SILENT: dict[str, Any] = {"show_progress": "hidden"}


class GuardedBlocks(gr.Blocks):
    """``gr.Blocks`` that takes no address in place of an uploaded file."""

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], state: Any, explicit_call: bool = False
    ) -> Any:
        """Refuse addresses, then do as Gradio does."""
        for path in _named_files(inputs):
            if "://" in path or path.startswith("//"):
                raise gr.Error("Addresses are not fetched: upload the file", print_exception=False)
        return await super().preprocess_data(block_fn, inputs, state, explicit_call)


def _named_files(value: Any) -> Iterator[str]:
    """Yield the path of every file in what a client sent."""
    if isinstance(value, dict):
        path = value.get("path")
        if isinstance(path, str):
            yield path
        for part in value.values():
            yield from _named_files(part)
    elif isinstance(value, list):
        for part in value:
            yield from _named_files(part)


def build_page(
    store: SessionStore,
    models: Models,
    queue: RunQueue,
    *,
    model_names: list[str],
    examples: dict[str, Path],
) -> gr.Blocks:
    """Return the page as a Gradio app, not launched yet."""
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
            frames_ahead=player(store),
        )
        _wire(page, layout, store, models, queue, examples)
        add_endpoint(store, models, queue, model_names)
    page.queue(default_concurrency_limit=8, max_size=64)
    return page


def _wire(
    page: gr.Blocks,
    layout: Layout,
    store: SessionStore,
    models: Models,
    queue: RunQueue,
    examples: dict[str, Path],
) -> None:
    video = VideoHandlers(layout, store, models, examples)
    timeline = TimelineHandlers(layout, store, models)
    marks = MarkHandlers(layout, store, models)
    objects = ObjectListHandlers(layout, store, models)
    results = ResultHandlers(layout, store, models, queue)
    costs = CostHandlers(layout, store, models, queue)
    propagation = PropagationHandlers(layout, store, models, queue)
    everything = [getattr(layout, name) for name in layout.__dataclass_fields__ if name != "ticket"]
    token = layout.token

    def on(event: Any, handler: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
        settings = {**_SILENT, "api_visibility": "private", **options}
        return event(handler, [*inputs], everything, **settings)

    opened = [
        *(on(given, video.open_upload, token, layout.upload, show_progress="full",
             show_progress_on=layout.upload)
          for given in (layout.upload.input, layout.upload.stop_recording)),
        on(layout.open_example.click, video.open_example, token, layout.example,
           show_progress="full", show_progress_on=layout.example),
        on(layout.project.upload, video.open_project, token, layout.project,
           show_progress="full", show_progress_on=layout.project),
    ]  # fmt: skip
    greeted = on(page.load, video.hello, layout.ticket, js=_HELLO_JS)
    page.unload(video.goodbye)
    on(layout.close.click, video.close, token)

    quick = {"concurrency_id": QUICK, "concurrency_limit": 1}
    latest = {"trigger_mode": "always_last"}
    on(layout.frame.input, timeline.move, token, layout.frame, **latest)
    on(layout.canvas.go, timeline.go, token, trigger_mode="multiple")
    on(layout.canvas.plays, timeline.plays, token, trigger_mode="multiple")
    on(layout.strip.click, timeline.jump, token)
    on(layout.strip.worst, timeline.to_worst, token)
    on(layout.correct_next.click, timeline.to_next_correction, token)

    each = {"trigger_mode": "multiple"}
    on(layout.canvas.paint, marks.paint, token, **each)
    on(layout.canvas.point, marks.point, token, layout.model, **each, **quick)
    on(layout.mask_file.upload, marks.upload_masks, token, layout.mask_file)
    on(layout.undo.click, marks.undo, token)
    on(layout.redo.click, marks.redo, token)
    on(layout.forget.click, marks.forget, token)

    on(layout.objects.input, objects.choose_object, token, layout.objects)
    on(layout.add.click, objects.add_object, token)
    on(layout.remove.click, objects.remove_object, token)
    on(layout.name.submit, objects.rename, token, layout.name)
    on(layout.name.blur, objects.rename, token, layout.name)
    on(layout.colour.input, objects.recolour, token, layout.colour, **latest)
    on(layout.visible.input, objects.show_or_hide, token, layout.visible)
    on(layout.locked.input, objects.lock, token, layout.locked)
    on(layout.opacity.input, objects.set_opacity, token, layout.opacity, **latest)

    trimmed = [
        on(number.change, results.trim, token, layout.first, layout.last)
        for number in (layout.first, layout.last)
    ]
    for choice in (layout.model, layout.preset):
        on(choice.input, costs.tell, token, layout.model, layout.preset, **quick)

    started = on(layout.propagate.click, propagation.start, token, layout.direction, layout.model,
                 layout.preset)  # fmt: skip
    watched = [
        on(event.then, propagation.watch, token, concurrency_id="watch", concurrency_limit=None)
        for event in (started, greeted)
    ]
    for event in (*opened, greeted, *trimmed, watched[0]):
        on(event.then, costs.tell, token, layout.model, layout.preset, **quick)
    on(layout.format.input, results.choose_format, layout.format)
    on(layout.background.upload, results.take_background, token, layout.background)
    on(layout.stop.click, propagation.stop, token, queue=False)
    on(layout.prepare.click, _with_progress(results), token, layout.format, **latest,
       show_progress="full", show_progress_on=layout.file)  # fmt: skip


def _with_progress(results: ResultHandlers) -> Callable[..., Any]:
    def prepare(token: str, key: str, progress: Any = _PROGRESS) -> Any:
        return results.prepare(token, key, progress)

    return prepare


def page_assets() -> dict[str, Any]:
    """Look and behaviour, for ``launch``. Fonts are those of the machine: nothing is fetched."""
    return {
        "theme": gr.themes.Soft(
            primary_hue="teal",
            font=["system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ).set(**_READABLE),
        "css": (FOLDER / "page.css").read_text(encoding="utf-8"),
        "head": f"<script>{(FOLDER / 'page.js').read_text(encoding='utf-8')}</script>",
    }


# Of text on its ground at least 4.5 to 1, as WCAG 2.1 asks; the theme's own has 2.2 to 2.5.
_READABLE = {
    "block_info_text_color": "*neutral_600",
    "block_label_background_fill_dark": "*primary_700",
    "block_label_text_color": "*primary_700",
    "block_title_background_fill_dark": "*primary_700",
    "block_title_text_color": "*primary_700",
    "body_text_color_subdued": "*neutral_500",
    "button_primary_background_fill": "*primary_700",
    "button_primary_background_fill_dark": "*primary_700",
    "button_primary_background_fill_hover": "*primary_800",
    "button_primary_background_fill_hover_dark": "*primary_800",
    "button_secondary_background_fill_dark": "*neutral_700",
    "button_secondary_background_fill_hover_dark": "*neutral_600",
    "checkbox_label_background_fill_selected": "*primary_700",
    "checkbox_label_background_fill_selected_dark": "*primary_700",
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
