"""A short clip of an odd size, and its features exported once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vos.export import export_features
from vos.media import write_image

SIZE = (61, 83)
FRAMES = 9


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 9 frames, 83 x 61: blurred noise that moves by two pixels a frame."""
    folder = tmp_path_factory.mktemp("clips") / "moving clip"
    random = np.random.default_rng(3)
    coarse = random.integers(0, 256, (20, 40, 3), np.uint8)
    scene = coarse.repeat(5, 0).repeat(5, 1)
    for index in range(FRAMES):
        left = 2 * index
        frame = scene[10 : 10 + SIZE[0], left : left + SIZE[1]]
        write_image(folder / f"{index:05d}.png", frame)
    return folder


@pytest.fixture(scope="session")
def export() -> Callable[..., dict[str, Any]]:
    """``export(out, video, ..., every=2)``: run the job, and give its record."""

    def run(out: Path, *videos: Path, overwrite: bool = False, **choices: Any) -> dict[str, Any]:
        how = {"model": "resnet18,stride=4,layer=2", "device": "cpu", **choices}
        which = videos[0] if len(videos) == 1 else list(videos)
        return export_features(which, out, overwrite=overwrite, **how)

    return run


@pytest.fixture(scope="session")
def store(clip: Path, export: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The features of the clip as zarr. Not to be written to."""
    out = tmp_path_factory.mktemp("stores") / "clip.zarr"
    export(out, clip)
    return out
