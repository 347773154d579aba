"""The report page: it holds all figures and pictures, and needs nothing from elsewhere."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from moving_squares import SIZE, moving_squares
from PIL import Image

from vos.datasets import Dataset
from vos.errors import InvalidResultsError
from vos.evaluation.report import write_report
from vos.evaluation.scoring import score_results


class Page(HTMLParser):
    """Addresses, texts and curve values of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.pictures: list[str] = []
        self.descriptions: list[str] = []
        self.curves: list[list[list[float]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href") and value:
                (self.pictures if tag == "img" else self.addresses).append(value)
            if name == "alt" and value:
                self.descriptions.append(value)
            if name == "data-values" and value:
                self.curves.append(json.loads(value))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def report(make_dataset: Callable[..., Dataset], write_results: Callable[..., Path]) -> Path:
    masks = moving_squares(12)
    wrong = [*masks[:6], np.zeros(SIZE, np.uint8), *masks[7:]]
    dataset = make_dataset({"bear": wrong[:6] + masks[6:], "a <b> & c": masks})
    folder = write_results({"bear": wrong, "a <b> & c": masks})
    scores = score_results(folder, dataset)
    settings = {"model": "lab", "preset": "default", "config": {"k": 10, "temperature": 0.07}}
    return write_report(folder, dataset, scores, settings, {"propagation": 12.345, "total": 20})


def test_figures_settings_and_timings_are_there(report: Path) -> None:
    text = Page(report).text
    assert "lab on davis-2017 val" in text
    for expected in ("config.temperature", "0.07", "propagation", "12.35", "90.0", "95.0"):
        assert expected in text


def test_curves_hold_every_scored_frame_of_every_object(report: Path) -> None:
    curves = Page(report).curves
    assert len(curves) == 4
    assert [frame for frame, _, _ in curves[0]] == list(range(1, 11))
    assert [region for _, region, _ in curves[0]] == [1] * 5 + [0] + [1] * 4


def test_worst_frame_is_shown(report: Path) -> None:
    text = Page(report).text
    assert "frame 6, J&F 0.0" in text.replace("Worst", "")


def test_page_needs_no_network_and_its_pictures_open(report: Path) -> None:
    page = Page(report)
    assert all(address.startswith("#") for address in page.addresses)
    assert len(page.pictures) == 2 * (8 + 4)
    for address in page.pictures:
        kind, data = address.split(",", 1)
        assert kind == "data:image/jpeg;base64"
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == SIZE[::-1]


def test_every_picture_is_described(report: Path) -> None:
    page = Page(report)
    assert len(page.descriptions) == len(page.pictures)
    assert "bear, true masks on frame 6" in page.descriptions


def test_names_are_escaped(report: Path) -> None:
    source = report.read_text(encoding="utf-8")
    assert "<b> & c" not in source
    assert "a <b> & c" in Page(report).text


def test_results_that_changed_since_scoring_are_refused(
    make_dataset: Callable[..., Dataset], write_results: Callable[..., Path]
) -> None:
    masks = moving_squares(6)
    dataset, folder = make_dataset({"bear": masks}), write_results({"bear": masks})
    scores = score_results(folder, dataset)
    (folder / "bear" / "00003.png").unlink()
    with pytest.raises(InvalidResultsError):
        write_report(folder, dataset, scores, {}, {})
    assert not (folder / "report.html").exists()
