"""Images of every kind become upright RGB, and bad ones are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vos.errors import VosError
from vos.media import read_image, write_image
from vos.media.images import image_size


@pytest.fixture
def picture() -> np.ndarray:
    y, x = np.mgrid[:24, :40]
    return np.stack([6 * x, 10 * y, 3 * (x + y)], axis=2).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm"])
def test_lossless_formats_keep_every_pixel(
    tmp_path: Path, picture: np.ndarray, suffix: str
) -> None:
    path = tmp_path / f"ein Bild ü{suffix}"
    write_image(path, picture)
    np.testing.assert_array_equal(read_image(path), picture)
    assert image_size(path) == (24, 40)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats_stay_close(tmp_path: Path, picture: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    write_image(path, picture)
    assert np.abs(read_image(path).astype(int) - picture).mean() < 4


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "1"])
def test_every_mode_becomes_rgb(tmp_path: Path, picture: np.ndarray, mode: str) -> None:
    path = tmp_path / "picture.tif"
    Image.fromarray(picture).convert(mode).save(path)
    image = read_image(path)
    assert (image.shape, image.dtype) == ((24, 40, 3), np.uint8)
    assert image.std() > 20


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.array([[0, 256, 65535]], np.uint16)).save(path)
    np.testing.assert_array_equal(read_image(path)[..., 0], [[0, 1, 255]])


def test_photos_are_turned_upright(tmp_path: Path, picture: np.ndarray) -> None:
    path = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(picture).save(path, exif=exif)
    np.testing.assert_array_equal(read_image(path), np.rot90(picture, -1))
    assert image_size(path) == (40, 24)


def test_bad_files_are_named_in_one_line(tmp_path: Path, picture: np.ndarray) -> None:
    path = tmp_path / "picture.jpg"

    def refused(words: str) -> None:
        with pytest.raises(VosError, match=words) as error:
            read_image(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)

    refused("No such file")
    path.write_bytes(b"")
    refused("is empty")
    path.write_bytes(b"not a picture")
    refused("not an image")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    write_image(path, noise)
    path.write_bytes(path.read_bytes()[:-600])
    refused("truncated")


def test_only_image_formats_are_written(tmp_path: Path, picture: np.ndarray) -> None:
    with pytest.raises(VosError, match="image suffixes"):
        write_image(tmp_path / "picture.mp4", picture)
