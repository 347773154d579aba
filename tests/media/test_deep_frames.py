"""Frames of more than 8 bits look as they do in 8, at one scale for the whole video."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from vos.datasets.clips import decode, find_clips
from vos.datasets.sequence import Sequence
from vos.media import open_video, read_image
from vos.media.tones import scale_of

Turn = Callable[[np.ndarray], np.ndarray]

TURNS: dict[str, Turn] = {
    "8 bits in 16": lambda grey: grey.astype(np.uint16),
    "10 bits": lambda grey: grey.astype(np.uint16) * 4,
    "12 bits": lambda grey: grey.astype(np.uint16) * 16 + 7,
    "16 bits": lambda grey: grey.astype(np.uint16) * 256 + 99,
    "32 bits": lambda grey: grey.astype(np.int32) * 256,
    "floats to 1": lambda grey: (grey / 255).astype(np.float32),
    "floats to 255": lambda grey: grey.astype(np.float32),
}


def greys(count: int = 3) -> list[np.ndarray]:
    y, x = np.mgrid[:24, :32]
    return [(60 + 5 * x + y + 3 * index).clip(0, 220).astype(np.uint8) for index in range(count)]


@pytest.mark.parametrize("kind", TURNS)
def test_a_folder_of_deep_frames_is_as_in_8_bits(tmp_path: Path, kind: str) -> None:
    for index, grey in enumerate(greys()):
        Image.fromarray(TURNS[kind](grey)).save(tmp_path / f"{index}.tif")
    for index, frame in enumerate(open_video(tmp_path)):
        np.testing.assert_array_equal(frame, np.repeat(greys()[index][..., None], 3, axis=2))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_colours_are_not_cut_to_their_upper_bits(tmp_path: Path, suffix: str) -> None:
    red, green, blue = greys()
    colours = np.stack([red, green // 2, blue // 3], axis=2)
    cv2.imwrite(str(tmp_path / f"0{suffix}"), colours[..., ::-1].astype(np.uint16) * 16)
    np.testing.assert_array_equal(open_video(tmp_path)[0], colours)
    np.testing.assert_array_equal(read_image(tmp_path / f"0{suffix}"), colours)


def test_deep_photos_are_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    deep = Image.fromarray(greys()[0].astype(np.uint16) * 16)
    deep.save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(
        read_image(tmp_path / "turned.png")[..., 0], np.rot90(greys()[0], -1)
    )


def test_one_scale_for_all_whatever_is_read_first(tmp_path: Path) -> None:
    for index, brightest in enumerate((300, 3000, 900)):
        values = np.full((8, 8), brightest, np.uint16)
        Image.fromarray(values).save(tmp_path / f"{index}.png")
    # 3000 needs 12 bits.
    for order in ([0, 1, 2], [2, 0, 1]):
        video = open_video(tmp_path)
        assert {index: int(video[index].max()) for index in order} == {0: 18, 1: 187, 2: 56}
    paths = tuple(sorted(tmp_path.iterdir()))
    assert [int(frame.max()) for frame in Sequence("s", paths, paths).frames()] == [18, 187, 56]
    (source,) = find_clips([tmp_path])
    assert decode(source, 8).max(axis=(1, 2, 3)).tolist() == [18, 187, 56]


def test_scales() -> None:
    def scale(values: np.ndarray) -> tuple[float, float]:
        found = scale_of([values])
        return found.black, found.white

    dark = np.full((100, 100), 700, np.uint16)
    dark[3, 4] = 65535  # a hot pixel
    assert scale(dark) == (0, 1023)
    assert scale(np.full((9, 9), 3, np.uint16)) == (0, 3)
    assert scale(np.full((9, 9), 0.2, np.float32)) == (0, 0.25)
    assert scale(np.zeros((9, 9), np.float32)) == (0, 1)
    hounsfield = np.linspace(-1000, 3000, 10000).reshape(100, 100).astype(np.int32)
    black, white = scale(hounsfield)
    assert black == pytest.approx(-996, abs=1)
    assert white == pytest.approx(2996, abs=1)
    levels = scale_of([hounsfield]).apply(hounsfield)
    assert (levels.min(), levels.max()) == (0, 255)
    broken = np.full((9, 9), 0.5, np.float32)
    broken[0] = np.nan
    assert scale_of([broken]).apply(broken)[0].max() == 0
