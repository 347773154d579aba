"""What lies where on the page; nothing happens here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import gradio as gr

from vos.demo.downloads import FORMATS
from vos.demo.limits import Limits
from vos.demo.messages import message
from vos.segmentation.given_masks import ANNOTATIONS

DIRECTIONS = [
    ("The whole video", "whole"),
    ("From this frame on", "onwards"),
    ("From this frame back", "back"),
]

# Gradio would ask for the largest pictures, which browsers hardly encode as they come, and the
# microphone.
CAMERA = {"video": {"width": {"ideal": 1280}, "height": {"ideal": 720}}, "audio": False}

_INTRO = """# Objects through a video
Mark objects on one frame, get them on all frames, correct, download."""


@dataclass(frozen=True)
class Layout:
    """The components of the page by name."""

    token: Any
    ticket: Any
    start: Any
    upload: Any
    example: Any
    open_example: Any
    project: Any
    problem: Any
    work: Any
    title: Any
    close: Any
    canvas: Any
    strip: Any
    frame: Any
    back: Any
    play: Any
    forth: Any
    correct_next: Any
    status: Any
    swatches: Any
    objects: Any
    add: Any
    remove: Any
    name: Any
    colour: Any
    visible: Any
    locked: Any
    opacity: Any
    mask_file: Any
    undo: Any
    redo: Any
    forget: Any
    direction: Any
    first: Any
    last: Any
    model: Any
    preset: Any
    cost: Any
    propagate: Any
    stop: Any
    format: Any
    background: Any
    prepare: Any
    file: Any


def build_layout(
    *,
    models: list[str],
    presets: list[str],
    examples: list[str],
    limits: Limits,
    frames_ahead: Callable[[Any], Any],
) -> Layout:
    """Create the components, inside a ``gr.Blocks``.

    Args:
        frames_ahead: is called by `canvas.js` for pictures to play.
    """
    parts: dict[str, Any] = {}
    parts["token"] = gr.State("")
    parts["ticket"] = gr.Textbox(visible=False)
    gr.Markdown(_INTRO, elem_id="intro")
    parts["problem"] = gr.HTML(message("info", "Connecting ..."), elem_id="problem")
    with gr.Column(elem_id="start", visible=False) as parts["start"]:
        _start(parts, examples, limits)
    with gr.Column(elem_id="work", visible=False) as parts["work"]:
        with gr.Row(elem_id="titlebar", equal_height=True):
            parts["title"] = gr.HTML("", elem_id="title")
            parts["close"] = gr.Button("Another video", size="sm", elem_id="close", min_width=120)
        with gr.Row():
            with gr.Column(scale=3, min_width=320, elem_id="stage"):
                _stage(parts, frames_ahead)
            with gr.Column(scale=2, min_width=300, elem_id="panel"):
                _objects(parts)
                _propagation(parts, models, presets)
                _downloads(parts)
    return Layout(**{field.name: parts[field.name] for field in fields(Layout)})


def _read(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _start(parts: dict[str, Any], examples: list[str], limits: Limits) -> None:
    with gr.Row():
        with gr.Column(scale=3, min_width=300):
            parts["upload"] = gr.Video(
                label="Your video",
                sources=["upload", "webcam"],
                webcam_options=gr.WebcamOptions(mirror=False, constraints=CAMERA),
                include_audio=True,  # Gradio would want the ffmpeg program to take it away
                height=300,
                elem_id="upload",
            )
            gr.HTML(_limits(limits), elem_id="limits")
        with gr.Column(scale=2, min_width=280):
            parts["example"] = gr.Dropdown(
                examples,
                value=examples[0] if examples else None,
                label="Or a built-in example",
                info="Short rendered clips with several objects.",
                elem_id="example",
            )
            parts["open_example"] = gr.Button("Open the example", elem_id="open-example")
            parts["project"] = gr.File(
                label="Or a project that you saved (zip)",
                file_types=[".zip"],
                height=110,
                elem_id="project",
            )
            gr.Markdown(
                "1. Open a video and go to a frame that shows your objects.\n"
                "2. Click on them, draw a box around them, or paint them.\n"
                "3. Propagate. Where an object's strip turns red, correct it and propagate on.\n"
                "4. Download masks, an overlay video or cut-outs.",
                elem_id="steps",
            )


def _limits(limits: Limits) -> str:
    """What may be uploaded, and two lines that `page.js` shows where they are true."""
    return (
        '<div class="gone message info" role="status" hidden>Your work is here no more: the server '
        "was started anew, or nobody came back to it for long. Open the video again, or a project "
        "that you saved.</div>"
        f'<div data-megabytes="{limits.megabytes}" class="message error" role="alert" hidden>'
        f'</div><p class="hint">At most {limits.megabytes:,} MB and {limits.frames:,} frames. '
        "Your video stays on the machine that serves this page, and is removed when you leave.</p>"
    )


def _stage(parts: dict[str, Any], frames_ahead: Callable[[Any], Any]) -> None:
    parts["canvas"] = gr.HTML(
        "",
        html_template=_read("canvas.html"),
        js_on_load=_read("canvas.js"),
        server_functions=[frames_ahead],
        apply_default_css=False,
        elem_id="canvas",
    )
    parts["strip"] = gr.HTML(
        "",
        html_template=_read("strip.html"),
        js_on_load=_read("strip.js"),
        apply_default_css=False,
        elem_id="strip",
    )
    parts["frame"] = gr.Slider(0, 1, 0, step=1, label="Frame", elem_id="frame", buttons=[])
    with gr.Row(elem_id="transport"):
        parts["back"] = gr.Button("◀ Step", size="sm", min_width=60, elem_id="back")
        parts["play"] = gr.Button("▶ Play", size="sm", min_width=60, elem_id="play")
        parts["forth"] = gr.Button("Step ▶", size="sm", min_width=60, elem_id="forth")
        parts["undo"] = gr.Button("↶ Undo", size="sm", min_width=60, elem_id="undo")
        parts["redo"] = gr.Button("↷ Redo", size="sm", min_width=60, elem_id="redo")
        parts["correct_next"] = gr.Button(
            "Next frame to correct",
            size="sm",
            min_width=140,
            elem_id="correct-next",
            interactive=False,
        )
    parts["status"] = gr.HTML("", elem_id="status")


def _objects(parts: dict[str, Any]) -> None:
    parts["swatches"] = gr.HTML("", elem_id="swatches")
    with gr.Group(elem_id="objects-group"):
        parts["objects"] = gr.Radio(
            [], label="Objects", info="Marks go to the chosen one.", elem_id="objects"
        )
        with gr.Row():
            parts["add"] = gr.Button("Add object", size="sm", min_width=90, elem_id="add")
            parts["remove"] = gr.Button("Remove", size="sm", min_width=80, elem_id="remove")
        with gr.Row():
            parts["name"] = gr.Textbox(label="Name", max_lines=1, elem_id="name", min_width=120)
            parts["colour"] = gr.ColorPicker(label="Colour", elem_id="colour", min_width=80)
        with gr.Row():
            parts["visible"] = gr.Checkbox(True, label="Visible", elem_id="visible", min_width=80)
            parts["locked"] = gr.Checkbox(False, label="Locked", elem_id="locked", min_width=80)
        parts["opacity"] = gr.Slider(
            0, 1, 0.5, step=0.05, label="Opacity", elem_id="opacity", buttons=[]
        )
    with gr.Accordion("Marks of this frame", open=False, elem_id="marking"):
        parts["mask_file"] = gr.File(
            label="Mask of this frame (PNG), or masks of many (PNGs, zip, JSON, XML)",
            file_count="multiple",
            file_types=[".png", *ANNOTATIONS],
            height=170,
            elem_id="mask-file",
        )
        parts["forget"] = gr.Button("Clear this frame", size="sm", elem_id="forget")


def _propagation(parts: dict[str, Any], models: list[str], presets: list[str]) -> None:
    with gr.Group(elem_id="propagation"):
        parts["direction"] = gr.Radio(
            DIRECTIONS,
            value="whole",
            label="Propagate",
            info="From this frame: masks on the other side stay as they are.",
            elem_id="direction",
        )
        with gr.Row():
            parts["propagate"] = gr.Button("Propagate", variant="primary", elem_id="propagate")
            parts["stop"] = gr.Button("Stop", variant="stop", visible=False, elem_id="stop")
        parts["cost"] = gr.HTML("", elem_id="cost")
    with gr.Accordion("Model, protocol, trim", open=False, elem_id="settings"):
        parts["model"] = gr.Dropdown(models, value=models[0], label="Model", elem_id="model")
        parts["preset"] = gr.Dropdown(
            presets, value=presets[0], label="Protocol (preset)", elem_id="preset"
        )
        with gr.Row():
            parts["first"] = gr.Number(
                0, label="First frame", precision=0, minimum=0, min_width=90, elem_id="first"
            )
            parts["last"] = gr.Number(
                0, label="Last frame", precision=0, minimum=0, min_width=90, elem_id="last"
            )


def _downloads(parts: dict[str, Any]) -> None:
    with gr.Group(elem_id="downloads"):
        parts["format"] = gr.Dropdown(
            [(item.label, key) for key, item in FORMATS.items()],
            value="overlay",
            label="Download",
            elem_id="format",
        )
        parts["background"] = gr.File(
            label="Picture behind the objects",
            file_types=["image"],
            height=110,
            visible=False,
            elem_id="background",
        )
        parts["prepare"] = gr.Button("Prepare the file", elem_id="prepare")
        parts["file"] = gr.File(label="Your file", interactive=False, visible=False, elem_id="file")
