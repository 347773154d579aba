"""The files a visitor takes home, each written frame by frame."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vos.demo.project import write_project
from vos.demo.session import Session
from vos.errors import UsageError
from vos.files import atomic_path, write_json
from vos.media import PALETTE, RleWriter, VideoWriter, read_image, write_mots
from vos.media.compositing import BACKGROUND, COMPOSITES, OVERLAY, covering, cut_out
from vos.media.excerpt import Excerpt
from vos.media.video_folder import FrameFolder

Report = Callable[[int, int], None]  # frames done, of how many
_FEATURE_SIDE = 480  # short side in pixels at which a model sees the frames it colours


@dataclass(frozen=True)
class Format:
    """A kind of download: what it is called, its file's ending, and who writes it."""

    label: str
    ending: str
    write: Callable[[Session, Path, Report], None]


def write_download(session: Session, key: str, report: Report = lambda done, total: None) -> Path:
    """Write the download ``key`` of `FORMATS` for the trimmed part; a file named by the video.

    Raises:
        UsageError: an unknown format, or there is no mask yet, or no picture for the background.
        VosError: the disk is full, or the video cannot be read.
    """
    if key not in FORMATS:
        raise UsageError(f"unknown format {key!r}: choose one of {', '.join(FORMATS)}")
    if key != "pca" and not session.masked_frames():
        raise UsageError("There are no masks to download yet: mark an object and propagate it")
    if key == BACKGROUND and session.background is None:
        raise UsageError("Choose a picture for the background first")
    chosen = FORMATS[key]
    path = session.folder / "out" / f"{session.clip.name}-{chosen.ending}"
    path.parent.mkdir(exist_ok=True)
    chosen.write(session, path, report)
    return path


def _frames_and_masks(
    session: Session, report: Report
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    first, last = session.clip.trim
    for index, frame in enumerate(session.clip.video.read(first, last + 1), start=first):
        yield index, frame, session.mask(index)
        report(index - first + 1, last - first + 1)


def _masks(session: Session, report: Report) -> Iterator[tuple[int, np.ndarray]]:
    first, last = session.clip.trim
    for index in range(first, last + 1):
        yield index, session.mask(index)
        report(index - first + 1, last - first + 1)


def _composite(kind: str, session: Session, path: Path, report: Report) -> None:
    """Write a video of the visible objects, with the times and the sound of the trimmed part."""
    clip, chosen = session.clip, COMPOSITES[kind]
    part = Excerpt(clip.video, clip.trim[0], clip.trim[1] + 1)
    how: dict[str, Any] = {}
    if kind == OVERLAY:
        how = {"opacity": session.opacity, "colours": session.objects.palette()}
    elif kind == BACKGROUND and session.background is not None:
        how = {"picture": covering(read_image(session.background), clip.size)}
    with VideoWriter.like(path, part, encoding=chosen.encoding) as writer:
        for _, frame, mask in _frames_and_masks(session, report):
            shown = session.objects.without_hidden(mask)
            writer.write(chosen.draw(frame, shown, **how))


def _palette_pngs(session: Session, path: Path, report: Report) -> None:
    """``<video>/<frame>.png``, as DAVIS results are laid out: scorers read the folder as it is.

    ``objects.json`` beside the folder names the objects by id.
    """
    clip = session.clip
    with _zip(path) as archive:
        names = {str(item.id): item.name for item in session.objects}
        archive.writestr("objects.json", json.dumps(names, ensure_ascii=False, indent=2))
        for index, mask in _masks(session, report):
            image = Image.fromarray(mask)
            image.putpalette(PALETTE.tobytes())
            _add_image(archive, f"{clip.name}/{clip.video.frame_name(index)}.png", image)


def _rle(session: Session, path: Path, report: Report) -> None:
    clip = session.clip
    with RleWriter(
        path,
        name=clip.name,
        size=clip.size,
        frame_count=clip.frame_count,
        file_name=clip.video.file_name,
        object_names={item.id: item.name for item in session.objects},
    ) as writer:
        for index, mask in _masks(session, report):
            writer.write(index, mask)


def _mots(session: Session, path: Path, report: Report) -> None:
    """MOTS PNG as CVAT imports it: images have their own names there, frames of videos numbers."""
    video = session.clip.video
    name = video.frame_name if isinstance(video, FrameFolder) else "frame_{:06d}".format
    masks = ((name(index), mask) for index, mask in _masks(session, report))
    write_mots(path, masks, {item.id: item.name for item in session.objects})


def _cutouts(session: Session, path: Path, report: Report) -> None:
    """The visible objects on nothing: RGBA, cut to the frame's size so that they stay in place."""
    clip = session.clip
    with _zip(path) as archive:
        for index, frame, mask in _frames_and_masks(session, report):
            shown = session.objects.without_hidden(mask)
            name = f"{clip.name}/{clip.video.frame_name(index)}.png"
            _add_image(archive, name, Image.fromarray(cut_out(frame, shown)))


def _confidence(session: Session, path: Path, report: Report) -> None:
    """Write how sure objects are, 0 to 1 by id, by the name of the frame, as the command does."""
    (first, last), clip = session.clip.trim, session.clip
    frames = [index for index in session.masked_frames() if first <= index <= last]
    by_object = clip.work.object_confidence.items()
    known = {
        clip.video.frame_name(index): {
            str(object_id): round(float(sure[index]), 4)
            for object_id, sure in by_object
            if not np.isnan(sure[index])
        }
        for index in frames
    }
    write_json(path, known)


def _project(session: Session, path: Path, report: Report) -> None:
    clip = session.clip
    write_project(
        path, clip.work, name=clip.name, objects=session.objects, trim=clip.trim, report=report
    )


def _feature_colours(session: Session, path: Path, report: Report) -> None:
    """The frames beside the colours of their features: three principal components.

    Two walks through the trimmed part: one for the features, one for the picture.
    """
    from vos.export import open_features
    from vos.export.model import load_model
    from vos.export.pca import fit_colours
    from vos.export.pictures import side_by_side
    from vos.export.store import open_store
    from vos.export.stream import FeatureStream
    from vos.machine import resolve_device
    from vos.runs.folder import RunFolder, record_beside

    first, last = session.clip.trim
    video = Excerpt(session.clip.video, first, last + 1)
    count = video.count_frames()
    device = resolve_device(session.device)
    model = load_model(session.model, layer=None, seed=0, device=device, frame_count=count)
    short_side = min(video.size)
    stream = FeatureStream(video, model, resolution=min(short_side, _FEATURE_SIDE))
    # Zarr keeps the memory flat on long videos; without it, one file in memory.
    place = path.with_suffix(".zarr" if find_spec("zarr") else ".npz")
    try:
        record = record_beside(place)
        folder = RunFolder.open(place, stream.settings(), record=record, overwrite=True)
        for done, _ in enumerate(open_store(place, stream, folder).write(), start=1):
            report(done, 2 * count)
        features = open_features(place)
        colours = fit_colours(features)
        height, width = side_by_side(video[0], video[0]).shape[:2]
        with VideoWriter.like(path, video, size=(height, width)) as writer:
            for t, frame in enumerate(video):
                writer.write(side_by_side(frame, colours.paint(features, t)))
                report(count + t + 1, 2 * count)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        for file in (place, record_beside(place)):
            file.unlink(missing_ok=True)


class _zip:
    """A zip file that appears when it is whole. PNGs are compressed already: they are stored."""

    def __init__(self, path: Path) -> None:
        self._atomic = atomic_path(path)

    def __enter__(self) -> zipfile.ZipFile:
        self._archive = zipfile.ZipFile(self._atomic.__enter__(), "w", zipfile.ZIP_STORED)
        return self._archive

    def __exit__(self, *error: object) -> None:
        self._archive.close()
        self._atomic.__exit__(*error)  # type: ignore[arg-type]


def _add_image(archive: zipfile.ZipFile, name: str, image: Image.Image) -> None:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=1)
    archive.writestr(name, buffer.getvalue())


FORMATS: dict[str, Format] = {
    "overlay": Format("Overlay video (MP4)", "overlay.mp4", partial(_composite, OVERLAY)),
    "png": Format("Masks as palette PNGs (zip, DAVIS layout)", "masks.zip", _palette_pngs),
    "rle": Format("Masks as COCO RLE (JSON)", "masks.json", _rle),
    "mots": Format("Masks as MOTS PNG for CVAT (zip)", "mots.zip", _mots),
    "cutouts": Format("Cut-outs with transparency (zip of PNGs)", "cutouts.zip", _cutouts),
    "prores": Format(
        "Cut-out video for editing (ProRes 4444)", "cutout.mov", partial(_composite, "prores")
    ),
    "webm": Format("Cut-out video for the web (WebM)", "cutout.webm", partial(_composite, "webm")),
    "green": Format("Green screen (MP4)", "green.mp4", partial(_composite, "green")),
    "matte": Format("Matte: white on black (MP4)", "matte.mp4", partial(_composite, "matte")),
    BACKGROUND: Format(
        "Before a picture of yours (MP4)", "background.mp4", partial(_composite, BACKGROUND)
    ),
    "blur": Format("Background out of focus (MP4)", "blur.mp4", partial(_composite, "blur")),
    "spotlight": Format(
        "Spotlight: the rest dimmed (MP4)", "spotlight.mp4", partial(_composite, "spotlight")
    ),
    "confidence": Format("Confidence in each object (JSON)", "confidence.json", _confidence),
    "project": Format("Project, to go on with later (zip)", "project.zip", _project),
    "pca": Format("Features in colours (MP4)", "features.mp4", _feature_colours),
}
