"""The one endpoint for scripts: a video and a mask in, the masks of all frames out."""

from __future__ import annotations

import re
import secrets
import time
from pathlib import Path

import gradio as gr

from vos.demo.downloads import FORMATS, write_download
from vos.demo.queue import Models, RunQueue, propagate
from vos.demo.session import Session
from vos.demo.store import SessionStore
from vos.errors import UsageError, VosError, near_names
from vos.media import read_mask
from vos.media.compositing import BACKGROUND
from vos.media.masks import fit_to_frame
from vos.propagation import PRESETS
from vos.segmentation.given_masks import ANNOTATIONS, MaskFile, read_masks

DESCRIPTION = f"""Carry the objects of one or more masks through a video.

video: an uploaded video file. mask: an uploaded PNG of the video's size, palette or grey, whose
values are object ids (black and white: one object), and frame: the frame it belongs to, from 0. Or
masks of several frames: a zip of PNGs named by the numbers of their frames, MOTS PNG (zip), COCO or
YouTube-VIS (JSON), CVAT (XML) or Label Studio (JSON); then frame does not count. model, preset: as
offered on the page. format: {", ".join(FORMATS)}. background: the picture that the
format background puts behind the objects. Returns the file."""


def add_endpoint(
    store: SessionStore, models: Models, queue: RunQueue, model_names: list[str]
) -> None:
    """Add ``/segment``, inside a ``gr.Blocks``."""
    with gr.Row(visible=False):
        video = gr.File(label="video", type="filepath")
        mask = gr.File(label="mask", type="filepath")
        frame = gr.Number(0, label="frame", precision=0)
        model = gr.Textbox(model_names[0], label="model")
        preset_name = gr.Textbox("default", label="preset")
        kind = gr.Textbox("png", label="format")
        background = gr.File(label="background", type="filepath")
        result = gr.File(label="result")
        trigger = gr.Button()

    def segment(
        video: str,
        mask: str,
        frame: int,
        model: str,
        preset: str,
        format: str,
        background: str | None = None,
    ) -> str:
        token = secrets.token_hex(32)
        session = store.open(token)
        try:
            path = _segment(session, video, mask, frame, model, preset, format, background)
            return _handed_over(path, store)
        except VosError as error:
            text = str(error)
            uploads = ((video, "the video"), (mask, "the mask"), (background, "the picture"))
            for upload, what in uploads:
                text = text.replace(str(upload), what)
            text = re.sub(rf"{re.escape(str(session.folder))}\S*", "the video", text)
            raise gr.Error(text, print_exception=False) from error
        finally:
            store.end(token)

    def _segment(
        session: Session,
        video: str,
        mask: str,
        frame: int,
        model: str,
        preset_name: str,
        kind: str,
        background: str | None,
    ) -> Path:
        store.check_room()
        if not video or not mask:
            raise UsageError("give a video and a mask")
        if model not in model_names:
            raise UsageError(f"unknown model {model!r}: {near_names(model, model_names)}")
        if preset_name not in PRESETS:
            raise UsageError(f"unknown preset {preset_name!r}: {near_names(preset_name, PRESETS)}")
        if kind not in FORMATS:
            raise UsageError(f"unknown format {kind!r}: {near_names(kind, FORMATS)}")
        if kind == BACKGROUND and not background:
            raise UsageError("the format background needs a picture: give it as background")
        # Calls with the same upload may wait in line: it stays until Gradio removes it.
        clip = session.open(session.link(Path(video)), name=Path(video).stem)
        if background:
            session.link_background(Path(background))
        if Path(mask).suffix.lower() in ANNOTATIONS:
            for given in read_masks([MaskFile(Path(mask))], clip.video):
                session.annotate(given.index, given.mask)
        else:
            session.annotate(int(frame), fit_to_frame(mask, read_mask(Path(mask)), clip.size))
        with queue.turn():
            for _ in propagate(session, models, "whole", model=model, preset=preset_name):
                session.touched = time.monotonic()
        return write_download(session, kind)

    def _handed_over(path: Path, store: SessionStore) -> str:
        """Return a place outside the session, which ends now; it is removed with the uploads."""
        place = store.root / "results" / secrets.token_hex(16) / path.name
        place.parent.mkdir(parents=True)
        return str(path.rename(place))

    trigger.click(
        segment,
        [video, mask, frame, model, preset_name, kind, background],
        result,
        api_name="segment",
        api_description=DESCRIPTION,
        concurrency_id="segment",
        concurrency_limit=1,
    )
