"""The fast PNG reader gives what Pillow gives, or nothing."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from vos.media.png import decode_plain_png


def png(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", **options)
    return buffer.getvalue()


def palette_image(mask: np.ndarray) -> Image.Image:
    image = Image.fromarray(mask)
    image.putpalette(bytes(range(256)) * 3)
    return image


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (37, 53), (480, 854)])
def test_palette_masks_are_read_exactly(size: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
    decoded = decode_plain_png(png(palette_image(mask)))
    np.testing.assert_array_equal(decoded, mask, strict=True)
    assert decoded.flags.writeable


@pytest.mark.parametrize("values", [2, 256])
def test_masks_stored_as_differences_are_read_exactly(values: int) -> None:
    mask = np.random.default_rng(1).integers(0, values, (61, 83)).astype(np.uint8)
    written = cv2.imencode(".png", mask, [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_SUB])
    decoded = decode_plain_png(written[1].tobytes())
    np.testing.assert_array_equal(decoded, mask, strict=True)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "1", "I;16"])
def test_other_kinds_are_left_to_the_general_reader(mode: str) -> None:
    assert decode_plain_png(png(Image.new(mode, (8, 8)))) is None


def test_every_truncation_is_left_to_the_general_reader() -> None:
    data = png(palette_image(np.arange(64, dtype=np.uint8).reshape(8, 8)))
    assert all(decode_plain_png(data[:length]) is None for length in range(len(data)))


def test_damaged_content_is_left_to_the_general_reader() -> None:
    data = bytearray(png(palette_image(np.arange(64, dtype=np.uint8).reshape(8, 8))))
    data[data.index(b"IDAT") + 12] ^= 0xFF
    assert decode_plain_png(bytes(data)) is None
    assert decode_plain_png(b"not a png at all") is None
