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
    """A clip of the sample, made smaller: the file, and (T, H, W) uint8 exact masks."""

    __test__ = False
    path: Path
    masks: np.ndarray


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> TestClip:
    sequence = open_dataset("sample", sequences=["meadow"]).sequences[0]
    path = tmp_path_factory.mktemp("clip") / "little meadow.mp4"
    height, width = SIZE
    with VideoWriter(path, fps=12, size=SIZE) as writer:
        for index in range(FRAMES):
            frame = cv2.resize(sequence.frame(index), (width, height), interpolation=cv2.INTER_AREA)
            writer.write(frame)
    masks = [
        cv2.resize(sequence.mask(index), (width, height), interpolation=cv2.INTER_NEAREST)
        for index in range(FRAMES)
    ]
    return TestClip(path, np.stack(masks))


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """The page, served from a thread on a free port."""
    pytest.importorskip("gradio", reason="the page needs Gradio: pip install 'gradio>=6.31,<7'")
    from vos.demo import Limits, Serving, start

    limits = Limits(megabytes=20, frames=2500, sessions=8)
    with start(Serving(limits=limits, device="cpu")) as page:
        yield page


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """The system's Chromium."""
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install it")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()
