"""Small data sets and results folders to score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vos.datasets import Dataset, Sequence
from vos.media.masks import write_mask


@pytest.fixture
def make_dataset(tmp_path: Path) -> Callable[..., Dataset]:
    """Write true masks by sequence name and open them as a data set."""

    def make(truth: dict[str, list[np.ndarray]], *, binary: bool = False) -> Dataset:
        root = tmp_path / "data set"
        sequences = []
        for name, masks in truth.items():
            frames, paths = [], []
            for index, mask in enumerate(masks):
                frames.append(root / "JPEGImages" / "480p" / name / f"{index:05d}.jpg")
                paths.append(root / "Annotations" / "480p" / name / f"{index:05d}.png")
                frames[-1].parent.mkdir(parents=True, exist_ok=True)
                height, width = mask.shape
                Image.new("RGB", (width, height), (90, 120, 90)).save(frames[-1])
                write_mask(paths[-1], mask)
            sequences.append(Sequence(name, tuple(frames), tuple(paths), binary=binary))
        return Dataset("davis-2016" if binary else "davis-2017", root, "val", tuple(sequences))

    return make


@pytest.fixture
def write_results(tmp_path: Path) -> Callable[..., Path]:
    """Write predicted masks by sequence name into a results folder."""

    def write(results: dict[str, list[np.ndarray]]) -> Path:
        folder = tmp_path / "results"
        for name, masks in results.items():
            for index, mask in enumerate(masks):
                write_mask(folder / name / f"{index:05d}.png", mask)
        return folder

    return write
