"""Small DAVIS folders, written by hand in each layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vos.media.masks import write_mask

SIZE = (24, 40)  # height, width


@pytest.fixture
def davis_2017(tmp_path: Path) -> Callable[..., Path]:
    """A DAVIS-2017 folder: every sequence has objects 1 and 3, drawn as moving squares."""

    def make(*names: str, frames: int = 4, split: str = "val", folder: str = "davis") -> Path:
        root = tmp_path / folder
        lists = root / "ImageSets" / "2017"
        lists.mkdir(parents=True, exist_ok=True)
        (lists / f"{split}.txt").write_text("".join(f"{n}\n" for n in names), encoding="utf-8")
        for name in names:
            images = root / "JPEGImages" / "480p" / name
            images.mkdir(parents=True)
            for index in range(frames):
                picture = np.full((*SIZE, 3), 40 + index, np.uint8)
                mask = np.zeros(SIZE, np.uint8)
                mask[4:10, 2 + index : 9 + index] = 1
                mask[12:20, 20 - index : 30 - index] = 3
                picture[mask == 1], picture[mask == 3] = (200, 60, 40), (30, 90, 220)
                Image.fromarray(picture).save(images / f"{index:05d}.jpg")
                write_mask(root / "Annotations" / "480p" / name / f"{index:05d}.png", mask)
        return root

    return make


@pytest.fixture
def davis_2016(tmp_path: Path) -> Path:
    """A DAVIS-2016 folder: list of pairs, grey masks of 0 and 255, one name with a space."""
    root = tmp_path / "davis 2016 – écran"
    lists = root / "ImageSets" / "480p"
    lists.mkdir(parents=True)
    lines = []
    for name, frames in (("goat", 3), ("grey cow", 2)):
        for index in range(frames):
            image = Path("JPEGImages", "480p", name, f"{index:05d}.jpg")
            label = Path("Annotations", "480p", name, f"{index:05d}.png")
            (root / image).parent.mkdir(parents=True, exist_ok=True)
            (root / label).parent.mkdir(parents=True, exist_ok=True)
            mask = np.zeros(SIZE, np.uint8)
            mask[5:15, 5 + index : 20 + index] = 255
            Image.fromarray(np.dstack([mask // 2 + 60] * 3)).save(root / image)
            Image.fromarray(mask).save(root / label)
            lines.append(f"/{image.as_posix()} /{label.as_posix()} \n")
    (lists / "val.txt").write_text("".join(lines), encoding="utf-8")
    return root
