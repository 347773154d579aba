"""A running page, a browser to use it with, and a short real clip with exact masks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from vos.datasets import open_dataset
from vos.media import VideoWriter

SIZE = (180, 320)
FRAMES = 10


@dataclass(frozen=True)
class TestClip:
    """A short clip of the sample: the file, and (T, H, W) uint8 exact masks of two objects."""

    __test__ = False
    path: Path
    masks: np.ndarray


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> TestClip:
    return _clip(tmp_path_factory.mktemp("clip") / "my table.mp4", SIZE)


@pytest.fixture(scope="session")
def small_clip(tmp_path_factory: pytest.TempPathFactory) -> TestClip:
    """The same, to be propagated through in an instant."""
    return _clip(tmp_path_factory.mktemp("clip") / "small table.mp4", (46, 80))


def _clip(path: Path, size: tuple[int, int]) -> TestClip:
    sequence = open_dataset("sample", sequences=["table"]).sequences[0]
    ids = np.zeros(256, np.uint8)
    ids[[2, 3]] = 1, 2  # the two larger objects
    masks = []
    with VideoWriter(path, fps=12, size=size) as writer:
        for index in range(FRAMES):
            writer.write(
                cv2.resize(sequence.frame(index), size[::-1], interpolation=cv2.INTER_AREA)
            )
            mask = cv2.resize(sequence.mask(index), size[::-1], interpolation=cv2.INTER_NEAREST)
            masks.append(ids[mask])
    return TestClip(path, np.stack(masks))


@pytest.fixture(scope="session")
def served() -> Iterator:
    """The page, served from a thread on a free port."""
    pytest.importorskip("gradio", reason="the page needs Gradio: pip install 'gradio>=6.31,<7'")
    from vos.demo import Limits, Serving, start

    limits = Limits(megabytes=20, frames=2500, sessions=8)
    with start(Serving(limits=limits, device="cpu", models=("lab",))) as page:
        yield page


@pytest.fixture
def running(served) -> Iterator:
    """The page, with all of its places free."""
    yield served
    served.store.end_all()


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """The system's Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install it")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with api.sync_playwright() as playwright:
        camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        opened = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", *camera]
        )
        yield opened
        opened.close()
