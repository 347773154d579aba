"""The small scene as a video of ten frames, and cheap features to follow it with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import vos
from vos.backbones.inference import FeatureExtractor
from vos.propagation import PropagationConfig

FRAMES = 10


@pytest.fixture
def frames(moving_scene) -> list[np.ndarray]:
    return [moving_scene(index)[0] for index in range(FRAMES)]


@pytest.fixture
def masks(moving_scene) -> list[np.ndarray]:
    return [moving_scene(index)[1] for index in range(FRAMES)]


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
