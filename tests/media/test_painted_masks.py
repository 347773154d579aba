"""Masks mean what they show: one painted object is one object, or the mask is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from vos.errors import VosError
from vos.media import VOID, read_mask

SIZE = HEIGHT, WIDTH = 60, 80
_Y, _X = np.mgrid[:HEIGHT, :WIDTH]
DISC = ((_X - 25) ** 2 + (_Y - 30) ** 2 < 200).astype(np.uint8)
SQUARE = ((_X >= 55) & (_X < 70) & (_Y >= 10) & (_Y < 25)).astype(np.uint8)
WHITE = DISC * np.uint8(255)
AROUND = (cv2.dilate(DISC, np.ones((5, 5))) > 0) & (DISC == 0)  # a border of 2 pixels


def save(folder: Path, pixels: np.ndarray | Image.Image, name: str = "mask.png") -> Path:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(folder / name)
    return folder / name


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE)


def enlarged(pixels: np.ndarray, times: int) -> np.ndarray:
    small = cv2.resize(pixels, (WIDTH // times, HEIGHT // times), interpolation=cv2.INTER_NEAREST)
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)


def drawn(*, radius: int = 0, thickness: int = 0, level: int = 255) -> np.ndarray:
    image = np.zeros(SIZE, np.uint8)
    if radius:
        cv2.circle(image, (30, 30), radius, level, -1, cv2.LINE_AA)
    if thickness:
        cv2.line(image, (10, 10), (70, 45), level, thickness, cv2.LINE_AA)
    return image


NARROW = {
    "antialiased": drawn(radius=12),
    "small": drawn(radius=3),
    "blurred a little": cv2.GaussianBlur(WHITE, (0, 0), 0.5),
    "enlarged twice": enlarged(WHITE, 2),
    "halved": cv2.resize(WHITE, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA),
    "JPEG 95": jpeg(WHITE, 95),
    "JPEG 100": jpeg(WHITE, 100),
}


@pytest.mark.parametrize("kind", NARROW)
@pytest.mark.parametrize("form", ["grey", "RGB", "16 bits", "palette"])
def test_narrow_soft_edges_are_split_at_half_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, form: str
) -> None:
    soft = NARROW[kind]
    image = {
        "grey": lambda: soft,
        "RGB": lambda: np.repeat(soft[..., None], 3, axis=2),
        "16 bits": lambda: soft.astype(np.uint16) * 257,
        "palette": lambda: Image.fromarray(soft).convert("P"),
    }[form]()
    mask = read_mask(save(tmp_path, image))
    np.testing.assert_array_equal(mask, soft > 127)
    assert "soft edges: it is read as one object" in caplog.text


WIDE = {
    "blurred": cv2.GaussianBlur(WHITE, (0, 0), 3),
    "blurred much": cv2.GaussianBlur(WHITE, (0, 0), 12),
    "enlarged 8 times": enlarged(WHITE, 8),
    "JPEG 30": jpeg(WHITE, 30),
    "JPEG 75": jpeg(WHITE, 75),
    "thin line": drawn(thickness=1),
    "dot": drawn(radius=1),
    "grey disc": drawn(radius=12, level=200),
    "grey line": drawn(thickness=3, level=128),
    "scanned": np.clip(
        WHITE * 0.9 + 12 + np.random.default_rng(0).normal(0, 3, SIZE), 0, 255
    ).astype(np.uint8),
    "two greys blurred": cv2.GaussianBlur(DISC * 128 + SQUARE * 255, (0, 0), 1),
    "two greys, JPEG 50": jpeg(DISC * np.uint8(128) + SQUARE * np.uint8(255), 50),
    "two greys, JPEG 100": jpeg(DISC * np.uint8(128) + SQUARE * np.uint8(255), 100),
    "one grey, JPEG 100": jpeg(DISC * np.uint8(128), 100),
    "ids enlarged": enlarged(DISC + SQUARE * np.uint8(3), 2),
}


@pytest.mark.parametrize("kind", WIDE)
def test_shades_are_refused_with_the_remedy(tmp_path: Path, kind: str) -> None:
    with pytest.raises(VosError, match=r"soft edges or shades.*pure black and white, or save it"):
        read_mask(save(tmp_path, WIDE[kind]))


def test_a_soft_mask_in_few_colours_is_refused(tmp_path: Path) -> None:
    red = np.zeros((*SIZE, 3), np.uint8)
    red[..., 0] = cv2.GaussianBlur(WHITE, (0, 0), 1)
    with pytest.raises(VosError, match="soft edges"):
        read_mask(save(tmp_path, Image.fromarray(red).quantize(16)))


@pytest.mark.parametrize("levels", [(128, 255), (85, 170, 255), (127, 254, 255)])
@pytest.mark.parametrize("deep", [False, True])
def test_evenly_spread_greys_are_objects_in_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, levels: tuple[int, ...], deep: bool
) -> None:
    ids = np.zeros(SIZE, np.uint8)
    for number in range(len(levels) - 1):
        ids[5:15, 30 + 15 * number : 40 + 15 * number] = number + 1
    ids[DISC > 0] = len(levels)
    grey = np.array([0, *levels], np.uint8)[ids]
    mask = read_mask(save(tmp_path, grey.astype(np.uint16) * 257 if deep else grey))
    np.testing.assert_array_equal(mask, ids)
    assert f"grey levels {', '.join(map(str, levels))} are read as objects 1 to" in caplog.text


def test_white_is_void_beside_small_ids_and_around_any(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for id in (1, 7, 128):
        bordered = np.where(AROUND, VOID, DISC * id).astype(np.uint8)
        np.testing.assert_array_equal(read_mask(save(tmp_path, bordered)), bordered)
    assert caplog.text == ""
    area = DISC * np.uint8(2) + SQUARE * np.uint8(VOID)
    np.testing.assert_array_equal(read_mask(save(tmp_path, area)), area)
    assert "255 is read as void" in caplog.text
    with pytest.raises(VosError, match="2 grey levels from 254 to 255"):
        read_mask(save(tmp_path, DISC * np.uint8(254) + SQUARE * np.uint8(255)))


def test_thin_and_tiny_objects_keep_their_ids(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ids = DISC.copy()
    cv2.line(ids, (2, 3), (77, 6), 2, 1)
    ids[50, 60] = 3
    ids[40:42, 70:72] = 40
    ids[28:33, 38:41] = 9  # touches the disc
    np.testing.assert_array_equal(read_mask(save(tmp_path, ids)), ids)
    assert caplog.text == ""


def test_tiny_objects_in_borders_of_void_are_no_shades(tmp_path: Path) -> None:
    mask = np.zeros(SIZE, np.uint8)
    for id in range(1, 8):
        mask[9:13, 10 * id - 1 : 10 * id + 3] = VOID
        mask[10:12, 10 * id : 10 * id + 2] = id
    np.testing.assert_array_equal(read_mask(save(tmp_path, mask)), mask)


def test_unlikely_numbers_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    many = np.zeros(SIZE, np.uint8)
    for id in range(30):
        row, column = divmod(id, 10)
        many[20 * row + 2 : 20 * row + 6, 8 * column : 8 * column + 4] = id + 1
    np.testing.assert_array_equal(read_mask(save(tmp_path, many)), many)
    assert "holds 30 objects" in caplog.text
    mostly_void = SQUARE + DISC * np.uint8(VOID)
    np.testing.assert_array_equal(read_mask(save(tmp_path, mostly_void)), mostly_void)
    assert "void (255) on more pixels" in caplog.text


def test_values_beyond_255(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def deep(first: int, second: int = 0) -> Path:
        return save(tmp_path, DISC * np.uint16(first) + SQUARE * np.uint16(second))

    for white in (1, 255, 4095, 65535):
        np.testing.assert_array_equal(read_mask(deep(white)), DISC)
    np.testing.assert_array_equal(read_mask(deep(1, 2)), DISC + 2 * SQUARE)
    assert "4095 is read as white" in caplog.text
    for first, second, wrong in ((255, 300, 300), (300, 0, 300), (1, 65535, 65535), (1, 400, 400)):
        with pytest.raises(VosError, match=f"holds the value {wrong}"):
            read_mask(deep(first, second))


def test_mots_is_read_by_its_instances(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = DISC * np.uint16(1001) + SQUARE * np.uint16(2007)
    values[0] = 10000
    expected = DISC + 7 * SQUARE
    expected[0] = VOID
    np.testing.assert_array_equal(read_mask(save(tmp_path, values)), expected)
    assert "1001 are read as MOTS" in caplog.text
    with pytest.raises(VosError, match="instance 1 to class 2, which class 1 has"):
        read_mask(save(tmp_path, DISC * np.uint16(1001) + SQUARE * np.uint16(2001)))
    with pytest.raises(VosError, match="value 1999: instances are 1 to 254"):
        read_mask(save(tmp_path, DISC * np.uint16(1999)))


def test_whole_floating_point_values_are_ids(tmp_path: Path) -> None:
    ids = DISC + 2 * SQUARE
    for values, expected in ((ids, ids), (WHITE, DISC), (DISC, DISC)):
        path = save(tmp_path, values.astype(np.float32), "mask.tif")
        np.testing.assert_array_equal(read_mask(path), expected)
    for broken in (0.5, np.nan):
        with pytest.raises(VosError, match="floating-point image"):
            read_mask(save(tmp_path, DISC * np.float32(broken), "mask.tif"))
    with pytest.raises(VosError, match="holds the value -1"):
        read_mask(save(tmp_path, DISC.astype(np.float32) - 1, "mask.tif"))


@pytest.mark.parametrize(("bits", "ids"), [(1, (1,)), (2, (1, 3)), (4, (2, 9, 15))])
def test_grey_pngs_of_few_bits_hold_ids(tmp_path: Path, bits: int, ids: tuple[int, ...]) -> None:
    mask = DISC * np.uint8(ids[0])
    for number, id in enumerate(ids[1:]):
        mask[5:9, 40 + 8 * number : 44 + 8 * number] = id
    digits = np.unpackbits(mask[..., None], axis=2)[..., 8 - bits :].reshape(HEIGHT, -1)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(digits, axis=1))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, 0, 0, 0, 0)
    with (tmp_path / "few.png").open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
            file.write(struct.pack(">I", len(content)) + kind + content)
            file.write(struct.pack(">I", zlib.crc32(kind + content)))
    np.testing.assert_array_equal(read_mask(tmp_path / "few.png"), mask)


def test_a_palette_in_grey_holds_ids_unless_it_shows_shades(tmp_path: Path) -> None:
    ids = DISC + 2 * SQUARE
    image = Image.fromarray(ids)
    image.putpalette([0, 0, 0, 128, 128, 128, 255, 255, 255])
    np.testing.assert_array_equal(read_mask(save(tmp_path, image)), ids)
    np.testing.assert_array_equal(read_mask(save(tmp_path, Image.fromarray(ids).convert("P"))), ids)
    soft = Image.fromarray(cv2.GaussianBlur(WHITE, (0, 0), 3)).convert("RGB").quantize(16)
    with pytest.raises(VosError, match="soft edges"):
        read_mask(save(tmp_path, soft))


def test_soft_alpha_is_split_at_half(tmp_path: Path) -> None:
    soft = drawn(radius=12)
    for colour in (255, (128, 0, 0)):
        painted = np.zeros((*SIZE, 4), np.uint8)
        painted[..., :3] = colour
        painted[..., 3] = soft
        np.testing.assert_array_equal(read_mask(save(tmp_path, painted)), soft > 127)
    painted[..., :3] = 0
    with pytest.raises(VosError, match="black where it is opaque: paint the object white"):
        read_mask(save(tmp_path, painted))
