"""A small video of two textured objects that move a pixel a frame, with their masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import vos
from vos.backbones.inference import FeatureExtractor
from vos.propagation import PropagationConfig

SIZE = (64, 96)
FRAMES = 10


def moving_frame(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame ``index``, (H, W, 3), and its mask: ids 2 and 7, the ids of no channel."""
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 90, (*SIZE, 3), np.uint8)
    frame = cv2.GaussianBlur(noise, (0, 0), 1.5)
    mask = np.zeros(SIZE, np.uint8)
    for object_id, colour, top, left in (
        (2, (210, 60, 40), 8, 10 + 2 * index),
        (7, (30, 200, 220), 36, 70 - 2 * index),
    ):
        texture = rng.integers(-25, 25, (20, 20, 1))
        box = np.s_[top : top + 20, left : left + 20]
        frame[box] = np.clip(np.array(colour) + texture, 0, 255)
        mask[box] = object_id
    return frame, mask


@pytest.fixture
def frames() -> list[np.ndarray]:
    return [moving_frame(index)[0] for index in range(FRAMES)]


@pytest.fixture
def masks() -> list[np.ndarray]:
    return [moving_frame(index)[1] for index in range(FRAMES)]


@pytest.fixture
def folder(tmp_path: Path, frames: list[np.ndarray]) -> Path:
    """The video as a folder of frames."""
    folder = tmp_path / "clip of é"
    folder.mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{index:05d}.png")
    return folder


@pytest.fixture(scope="session")
def extractor() -> FeatureExtractor:
    return FeatureExtractor(vos.load("lab,stride=4"), "cpu")


@pytest.fixture
def config() -> PropagationConfig:
    return PropagationConfig(recent=4, radius=6, neighbours=5)


@pytest.fixture
def overlap() -> Callable[[np.ndarray, np.ndarray, int], float]:
    """Intersection over union of one object in two masks."""

    def measure(a: np.ndarray, b: np.ndarray, object_id: int) -> float:
        one, other = a == object_id, b == object_id
        return float((one & other).sum() / max(1, (one | other).sum()))

    return measure


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
