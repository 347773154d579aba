"""One HTML page about a results folder: figures, curves, best and worst frames, settings."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np

from vos.datasets import Dataset, Sequence
from vos.errors import VosError
from vos.evaluation.results import Task, plan_scoring, scored_sequences
from vos.evaluation.scores import ObjectScores, Scores
from vos.files import write_text
from vos.media import PALETTE, overlay
from vos.progress import progress
from vos.version import __version__

SHEET_FRAMES = 8
THUMBNAIL_WIDTH = 240  # pixels
PICTURE_WIDTH = 480
JPEG_QUALITY = 80


def write_report(
    folder: Path,
    dataset: Dataset,
    scores: Scores,
    settings: Mapping[str, Any],
    timings: Mapping[str, Any],
) -> Path:
    """Write ``report.html`` into a results folder; it holds all it shows and needs no network.

    Args:
        folder: the results, ``<folder>/<sequence>/<frame>.png``.
        dataset: the frames and the truth.
        scores: of these results on this data set.
        settings: what was run; may be nested.
        timings: seconds by part of the work; may be nested.

    Returns:
        Path of the page.

    Raises:
        InvalidResultsError: the results are no longer what was scored.
        VosError: a frame cannot be read or the page not written.
    """
    views = [
        _view(task, sequence, scores.of_sequence(sequence.name))
        for task, sequence in progress(
            list(zip(plan_scoring(folder, dataset), scored_sequences(dataset), strict=True)),
            description="report",
            unit="sequence",
        )
    ]
    page = _template().render(
        title=f"{settings.get('model', folder.name)} on {dataset.name} {dataset.split}",
        scores=scores,
        sequences=[view for view in views if view.objects],
        settings=_flat(settings),
        timings=_flat(timings),
        version=__version__,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
    )
    path = folder / "report.html"
    write_text(path, page)
    return path


@dataclass(frozen=True)
class Picture:
    """A frame with masks drawn over it: its index, its mean J&F, and JPEGs as data URIs."""

    frame: int
    score: float | None
    prediction: str
    truth: str = ""


@dataclass(frozen=True)
class ObjectView:
    """Scores of an object with its colours and its curves as SVG paths in a box of 100 x 100."""

    scores: ObjectScores
    light: str
    dark: str
    region_path: str
    region_area: str
    boundary_path: str
    values: list[list[float]]


@dataclass(frozen=True)
class SequenceView:
    """What the page shows of a sequence."""

    name: str
    frames: int
    mean: float
    objects: list[ObjectView]
    sheet: list[Picture]
    best: Picture | None
    worst: Picture | None


def _view(task: Task, sequence: Sequence, objects: list[ObjectScores]) -> SequenceView:
    frames = len(sequence)
    shown = np.unique(np.linspace(0, frames - 1, min(SHEET_FRAMES, frames)).round().astype(int))
    sheet = [
        Picture(int(index), None, _jpeg(_drawn(task, sequence, int(index)), THUMBNAIL_WIDTH))
        for index in shown
    ]
    if not objects:
        return SequenceView(sequence.name, frames, 0.0, [], sheet, None, None)
    by_frame: dict[int, list[float]] = {}
    for each in objects:  # which may begin at different frames
        for index, score in zip(each.frames.tolist(), (each.J + each.F) / 2, strict=True):
            by_frame.setdefault(index, []).append(float(score))
    means = {index: float(np.mean(scores)) for index, scores in sorted(by_frame.items())}
    best, worst = (
        _compared(task, sequence, index, means[index])
        for index in (max(means, key=means.__getitem__), min(means, key=means.__getitem__))
    )
    return SequenceView(
        name=sequence.name,
        frames=frames,
        mean=float(np.mean([each.JF for each in objects])),
        objects=[_object_view(each) for each in objects],
        sheet=sheet,
        best=best,
        worst=worst,
    )


def _object_view(scores: ObjectScores) -> ObjectView:
    # As in the overlays, the dark palette is moved towards white, further on a dark page.
    colour = PALETTE[scores.object_id].astype(int)
    brighter = colour + (255 - colour) * (colour > 0) // 4
    lighter = colour + (255 - colour) // 2
    region, boundary = _path(scores.J), _path(scores.F)
    return ObjectView(
        scores=scores,
        light="rgb({}, {}, {})".format(*brighter),
        dark="rgb({}, {}, {})".format(*lighter),
        region_path=f"M{region}",
        region_area=f"M0,100 L{region} L100,100 Z",
        boundary_path=f"M{boundary}",
        values=[
            [int(frame), round(float(j), 3), round(float(f), 3)]
            for frame, j, f in zip(scores.frames, scores.J, scores.F, strict=True)
        ],
    )


def _path(values: np.ndarray) -> str:
    """Points of a curve, left to right over 100 units, 1 at the top and 0 at 100 units."""
    across = np.linspace(0, 100, len(values)) if len(values) > 1 else np.array([0.0, 100.0])
    down = 100 * (1 - np.broadcast_to(values, across.shape))
    return " ".join(f"{x:.2f},{y:.1f}" for x, y in zip(across, down, strict=True))


def _compared(task: Task, sequence: Sequence, index: int, score: float) -> Picture:
    frame = sequence.frame(index)
    return Picture(
        index,
        score,
        _jpeg(overlay(frame, task.result(index)), PICTURE_WIDTH),
        _jpeg(overlay(frame, task.truth(index)), PICTURE_WIDTH),
    )


def _drawn(task: Task, sequence: Sequence, index: int) -> np.ndarray:
    return overlay(sequence.frame(index), task.result(index))


def _jpeg(image: np.ndarray, width: int) -> str:
    """Return an (H, W, 3) RGB image, no wider than ``width``, as a data URI."""
    if image.shape[1] > width:
        height = max(1, round(image.shape[0] * width / image.shape[1]))
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    if not done:
        raise VosError("a picture of the report could not be packed as JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Names and values of a nested mapping as text, nested names joined by dots."""
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append(
                (f"{prefix}{name}", f"{value:.4g}" if isinstance(value, float) else str(value))
            )
    return rows


def _template() -> jinja2.Template:
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = lambda value: f"{100 * value:.1f}".replace("-", "−")
    source = resources.files("vos.evaluation").joinpath("report.html.j2")
    return environment.from_string(source.read_text(encoding="utf-8"))
