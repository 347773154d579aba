"""Small clips and configs that every training test uses."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from vos.media.images import write_image
from vos.training import TrainConfig, load_config


@pytest.fixture(scope="session")
def clips_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three folders of frames (a texture that moves) and two photos."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for index in range(3):
        noise = random.integers(0, 256, (12, 20, 3)).astype(np.uint8)
        texture = cv2.resize(noise, (120, 72), interpolation=cv2.INTER_CUBIC)
        for time in range(6):
            frame = np.roll(texture, (2 * time, 3 * time), axis=(0, 1))[:48, :64]
            write_image(root / f"clip{index}" / f"{time:05d}.png", np.ascontiguousarray(frame))
    for name in ("bird", "tree"):
        photo = cv2.resize(random.integers(0, 256, (10, 14, 3)).astype(np.uint8), (70, 50))
        write_image(root / "photos" / f"{name}.png", photo)
    return root


@pytest.fixture
def tiny_config(clips_folder: Path) -> TrainConfig:
    """A run of six steps that takes a second or two."""
    settings = [
        "name=tiny", "steps=6", "batch=4", "crop.size=32", "data.gap=3", "data.workers=2",
        "log_every=1", "checkpoint_every=2", "ema=0.9", "optimiser.schedule=cosine",
        "model.backbone=resnet18,layer=1,stride=4,head=8,output=head",
    ]  # fmt: skip
    config = load_config("icon-resnet18", [*settings, "data.cache=memory"])
    config.data.paths = [str(clips_folder)]
    return config
