"""Masks: the values on disk are the ids, whoever wrote them, or the reader says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vos.errors import VosError
from vos.media import PALETTE, VOID, object_ids, read_mask, read_palette_mask, write_mask

SIZE = (23, 37)


@pytest.fixture
def mask() -> np.ndarray:
    """Blocks of background, void and a few ids."""
    ids = np.array([0, 1, 2, 5, 17, 254, VOID], np.uint8)
    return ids[np.random.default_rng(0).integers(0, 7, (6, 10)).repeat(4, 0).repeat(4, 1)][:23, :37]


def save(path: Path, pixels: np.ndarray, palette: np.ndarray | None = None) -> Path:
    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(palette.astype(np.uint8).tobytes())
    image.save(path)
    return path


def test_palette_is_that_of_davis() -> None:
    # The first colours as printed in the DAVIS and PASCAL VOC development kits.
    known = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128)]
    known += [(0, 128, 128), (128, 128, 128), (64, 0, 0), (192, 0, 0)]
    assert [tuple(colour) for colour in PALETTE[:10].tolist()] == known
    assert PALETTE[255].tolist() == [224, 224, 192]
    assert len(np.unique(PALETTE, axis=0)) == 256


def test_written_masks_are_palette_files_in_davis_colours(tmp_path: Path, mask: np.ndarray) -> None:
    path = tmp_path / "new folder é" / "00000.png"
    write_mask(path, mask)
    with Image.open(path) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image), mask)
        np.testing.assert_array_equal(np.array(image.convert("RGB")), PALETTE[mask])
    for reader in (read_mask, read_palette_mask):
        back = reader(path, size=SIZE)
        assert back.dtype == np.uint8
        assert back.flags.writeable
        np.testing.assert_array_equal(back, mask)


@pytest.mark.parametrize("kind", [bool, np.int64, np.int32, np.uint16])
def test_any_integer_type_is_written(tmp_path: Path, kind: type) -> None:
    mask = np.eye(9, dtype=kind)
    write_mask(tmp_path / "m.png", mask)
    np.testing.assert_array_equal(read_palette_mask(tmp_path / "m.png"), mask.astype(np.uint8))


@pytest.mark.parametrize(
    "mask",
    [np.full((3, 3), 256), np.full((3, 3), -1), np.zeros((3, 3, 3), np.uint8), np.zeros((0, 3))],
)
def test_what_is_no_mask_is_not_written(tmp_path: Path, mask: np.ndarray) -> None:
    with pytest.raises(VosError, match=r"cannot write .*m\.png"):
        write_mask(tmp_path / "m.png", mask)
    assert list(tmp_path.iterdir()) == []


def test_object_ids_leave_out_background_and_void(mask: np.ndarray) -> None:
    assert object_ids(mask) == [1, 2, 5, 17, 254]
    assert object_ids(np.zeros((4, 4), np.uint8)) == []
    assert object_ids(mask[:, ::2]) == [1, 2, 5, 17, 254]


def test_grey_ids(tmp_path: Path, mask: np.ndarray) -> None:
    path = save(tmp_path / "grey.png", mask)
    np.testing.assert_array_equal(read_mask(path), mask)
    np.testing.assert_array_equal(read_palette_mask(path), mask)
    path = save(tmp_path / "deep.png", mask.astype(np.uint16))
    np.testing.assert_array_equal(read_mask(path), mask)


@pytest.mark.parametrize("white", [True, np.uint8(255), np.uint16(65535)])
def test_black_and_white_is_one_object(tmp_path: Path, mask: np.ndarray, white: object) -> None:
    binary = mask > 2
    pixels = binary if white is True else binary * white
    np.testing.assert_array_equal(read_mask(save(tmp_path / "binary.png", pixels)), binary)


def test_the_strict_reader_leaves_the_values_of_davis_2016_alone(tmp_path: Path) -> None:
    binary = np.eye(8, dtype=np.uint8) * 255
    np.testing.assert_array_equal(read_palette_mask(save(tmp_path / "b.png", binary)), binary)


def test_all_background(tmp_path: Path) -> None:
    path = save(tmp_path / "nothing.png", np.zeros(SIZE, np.uint8))
    assert object_ids(read_mask(path)) == object_ids(read_palette_mask(path)) == []


def test_colours_of_the_palette_become_ids(tmp_path: Path, mask: np.ndarray) -> None:
    colours = PALETTE[mask]
    np.testing.assert_array_equal(read_mask(save(tmp_path / "rgb.png", colours)), mask)
    opaque = np.dstack([colours, np.full(SIZE, 255, np.uint8)])
    np.testing.assert_array_equal(read_mask(save(tmp_path / "rgba.png", opaque)), mask)


def test_transparent_pixels_are_background(tmp_path: Path) -> None:
    painted = np.zeros((6, 6, 4), np.uint8)
    painted[...] = 255, 255, 255, 0
    painted[2:4, 2:4, 3] = 255
    mask = read_mask(save(tmp_path / "painted.png", painted))
    assert mask.sum() == 4
    assert (mask[2:4, 2:4] == 1).all()


def test_grey_colours_are_read_as_grey(tmp_path: Path, mask: np.ndarray) -> None:
    white = np.repeat((mask > 2)[..., None], 3, axis=2) * np.uint8(255)
    np.testing.assert_array_equal(read_mask(save(tmp_path / "white.png", white)), mask > 2)
    ids = np.repeat(mask[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_mask(save(tmp_path / "ids.png", ids)), mask)


def test_a_reordered_palette_is_undone(tmp_path: Path) -> None:
    ids = np.array([[0, 1], [2, 3]], np.uint8)
    path = save(tmp_path / "p.png", 3 - ids, palette=PALETTE[[3, 2, 1, 0]])
    np.testing.assert_array_equal(read_mask(path), ids)
    path = save(tmp_path / "bw.png", 1 - ids % 2, palette=np.array([[255] * 3, [0] * 3]))
    np.testing.assert_array_equal(read_mask(path), ids % 2)


def test_with_any_other_palette_the_indices_are_the_ids(tmp_path: Path, mask: np.ndarray) -> None:
    path = save(tmp_path / "p.png", mask, palette=PALETTE[:, ::-1] // 2 + 3)
    np.testing.assert_array_equal(read_mask(path), mask)
    np.testing.assert_array_equal(read_palette_mask(path), mask)


def refused(path: Path, words: str, reader: object = read_mask, **options: object) -> None:
    with pytest.raises(VosError, match=words) as error:
        reader(path, **options)  # type: ignore[operator]
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_other_colours_are_refused_by_name(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[1, 1] = 255, 0, 7
    refused(save(tmp_path / "rgb.png", pixels), r"first \(255, 0, 7\).*palette or grey PNG")


def test_the_strict_reader_refuses_colours_even_of_the_palette(
    tmp_path: Path, mask: np.ndarray
) -> None:
    refused(save(tmp_path / "rgb.png", PALETTE[mask]), "RGB image, not a mask", read_palette_mask)
    deep = save(tmp_path / "deep.png", mask.astype(np.uint16))
    refused(deep, "16-bit grey image, not a mask", read_palette_mask)


def test_soft_edges_jpeg_and_ids_too_high_are_refused(tmp_path: Path) -> None:
    soft = np.full((40, 40), 255, np.uint8)
    soft[:, :20] = np.linspace(0, 255, 20).astype(np.uint8)
    soft[:, :8] = 0
    soft[0, :30] = np.arange(30) * 8
    refused(save(tmp_path / "soft.png", soft), "soft edges")
    refused(save(tmp_path / "mask.jpg", soft), "JPEG, which blurs")
    high = np.array([[0, 300], [7, 9]], np.uint16)
    refused(save(tmp_path / "high.png", high), "value 300")


@pytest.mark.parametrize("reader", [read_mask, read_palette_mask])
def test_broken_files_are_named(tmp_path: Path, mask: np.ndarray, reader: object) -> None:
    path = tmp_path / "ein Ördner" / "m.png"
    refused(path, "No such file", reader)
    write_mask(path, np.random.default_rng(0).integers(0, 9, SIZE))
    refused(path, "37 x 23 pixels, but its frame is 36 x 23", reader, size=(23, 36))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 100])
    refused(path, "truncated|damaged", reader)
    path.write_bytes(whole[:40])
    refused(path, "truncated|damaged|not an image", reader)
    path.write_bytes(b"")
    refused(path, "is empty", reader)
    path.write_text("no picture")
    refused(path, "not an image", reader)
    refused(path.parent, "cannot read", reader)


def test_frames_of_several_pictures_are_no_mask(tmp_path: Path) -> None:
    first, second = (Image.fromarray(np.full((4, 4), level, np.uint8)) for level in (0, 255))
    first.save(tmp_path / "stack.tif", save_all=True, append_images=[second])
    refused(tmp_path / "stack.tif", "2 pictures")
