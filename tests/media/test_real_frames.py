"""Real DAVIS frames and masks, where ``VOS_DATA`` names a folder that holds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vos.media import (
    VideoWriter,
    open_video,
    overlay,
    read_image,
    read_mask,
    read_palette_mask,
    write_mask,
)


def first_of(root: Path, kind: str, suffix: str) -> list[Path]:
    paths = sorted(root.glob(f"{kind}/480p/*/*{suffix}"))[::40][:8]
    if not paths:
        pytest.skip(f"no {kind} in {root}")
    return paths


def test_davis_masks_are_read_as_pillow_reads_them(data_root: Path, tmp_path: Path) -> None:
    for root, reader in [("davis-2017-dev", read_mask), ("davis-2016-dev", read_palette_mask)]:
        for path in first_of(data_root / root, "Annotations", ".png"):
            with Image.open(path) as image:
                expected = np.array(image)
            mask = reader(path)
            np.testing.assert_array_equal(mask, expected)
            if reader is read_mask:
                Image.fromarray(expected).save(tmp_path / "grey.png")
                np.testing.assert_array_equal(read_mask(tmp_path / "grey.png"), expected)
            write_mask(tmp_path / "again.png", mask)
            np.testing.assert_array_equal(read_palette_mask(tmp_path / "again.png"), expected)


def test_davis_2016_masks_are_one_object(data_root: Path) -> None:
    for path in first_of(data_root / "davis-2016-dev", "Annotations", ".png"):
        np.testing.assert_array_equal(read_mask(path), read_palette_mask(path) > 0)


def test_a_video_of_real_frames_keeps_their_colours(data_root: Path, tmp_path: Path) -> None:
    folder = first_of(data_root / "davis-2016-dev", "JPEGImages", ".jpg")[0].parent
    frames = list(open_video(folder).read(0, 12))
    with VideoWriter(tmp_path / "real.mp4", fps=24, size=frames[0].shape[:2]) as writer:
        for frame in frames:
            writer.write(frame)
    for frame, back in zip(frames, open_video(tmp_path / "real.mp4"), strict=True):
        assert np.abs(back.astype(int) - frame).mean() < 5


def test_an_overlay_of_a_real_mask_changes_its_objects_alone(data_root: Path) -> None:
    path = first_of(data_root / "davis-2017-dev", "Annotations", ".png")[0]
    mask = read_palette_mask(path)
    frame = read_image(
        data_root / "davis-2017-dev/JPEGImages/480p" / path.parent.name / "00000.jpg"
    )
    changed = (overlay(frame, mask) != frame).any(axis=2)
    assert not changed[mask == 0].any()
    assert changed[mask > 0].mean() > 0.95
