"""Shared fixtures: the real development data where it is, small things that many tests want."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

SIZE = (64, 96)  # height, width of the small scene


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the development data (`VOS_DATA`); tests that want it are skipped without."""
    value = os.environ.get("VOS_DATA")
    if not value:
        pytest.skip("VOS_DATA is not set: it names the folder of the development data")
    root = Path(value)
    if not root.is_dir():
        pytest.skip(f"VOS_DATA names no folder: {root}")
    return root


@pytest.fixture(scope="session")
def moving_scene() -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """By index: a frame, (64, 96, 3), and its mask of two objects that move; ids 2 and 7."""

    def scene(index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(3)
        frame = cv2.GaussianBlur(rng.integers(0, 90, (*SIZE, 3), np.uint8), (0, 0), 1.5)
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

    return scene
