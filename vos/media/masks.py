"""Masks on disk: palette PNGs whose pixel values are object ids.

A mask is an ``(H, W)`` uint8 array of object ids: 0 is background, 255 is void (pixels that no
score counts), 1 to 254 are objects. Masks are read with Pillow, which gives the stored indices;
OpenCV would turn a palette into colours.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from PIL import Image

from vos.errors import UsageError, VosError
from vos.files import atomic_path
from vos.media.images import open_image
from vos.media.png import decode_plain_png

log = logging.getLogger("vos")

VOID = 255

WHAT_TO_DO = "save it as a palette or grey PNG whose pixel values are the object ids"


def _voc_palette() -> np.ndarray:
    """Return the PASCAL VOC colour map, which DAVIS uses: bit triples of the id, from bit 7 down.

    Bits 0, 3, 6 of an id become bits 7, 6, 5 of red; bits 1, 4, 7 of green; bits 2, 5 of blue.
    """
    ids = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for triple in range(3):
        for channel in range(3):
            bit = (ids >> (3 * triple + channel)) & 1
            palette[:, channel] |= (bit << (7 - triple)).astype(np.uint8)
    return palette


PALETTE: np.ndarray = _voc_palette()
PALETTE.setflags(write=False)


def object_ids(mask: np.ndarray) -> list[int]:
    """Return the object ids in a mask, sorted, without background (0) and void (255).

    >>> object_ids(np.array([[0, 3], [255, 1]], np.uint8))
    [1, 3]
    """
    # Pillow counts bytes in half the time of numpy, which widens them first.
    counts = Image.fromarray(np.ascontiguousarray(mask, np.uint8)).histogram()
    return [id for id in range(1, VOID) if counts[id]]


def read_palette_mask(path: Path, *, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read a mask exactly as stored: an 8-bit palette or grey image, its values untouched.

    This is what the official DAVIS scorer reads, so it is the reader for data sets and results.
    255 stays 255, also in the 0 / 255 masks of DAVIS-2016.

    Args:
        path: the mask.
        size: expected (height, width), if known.

    Returns:
        (H, W) uint8, writable.

    Raises:
        VosError: unreadable or truncated, in RGB or deeper than 8 bits, or of another size.
    """
    try:
        mask = decode_plain_png(path.read_bytes())
    except OSError as error:
        raise VosError(f"cannot read {path}: {error.strerror}") from error
    if mask is None:
        with open_image(path) as image:
            if image.mode not in ("P", "L", "1"):
                raise VosError(
                    f"{path} is a {mode_in_words(image.mode)} image, not a mask: {WHAT_TO_DO}"
                )
            mask = np.array(image, np.uint8)
    check_size(path, mask, size)
    return mask


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write a mask as an 8-bit palette PNG in the DAVIS colours, atomically.

    Args:
        path: the file; its folder is made if need be.
        mask: (H, W) of ids 0 to 255, any integer or boolean type.

    Raises:
        VosError: the mask is not two-dimensional or holds other ids, or the file cannot be written.
    """
    if mask.ndim != 2 or mask.size == 0:
        raise VosError(f"cannot write {path}: a mask is (height, width), this is {mask.shape}")
    if mask.dtype != np.uint8:
        if mask.min() < 0 or mask.max() > 255:
            raise VosError(f"cannot write {path}: object ids must lie between 0 and 255")
        mask = mask.astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(mask))
    image.putpalette(PALETTE.tobytes())
    with atomic_path(path) as temporary:
        # Level 1 takes less than half the time of Pillow's default, for files of about 4 kB.
        image.save(temporary, format="PNG", compress_level=1)


def check_size(path: Path, mask: np.ndarray, size: tuple[int, int] | None) -> None:
    """Raise VosError where a mask has not the size (height, width) of its frame."""
    if size is not None and mask.shape != tuple(size):
        height, width = mask.shape
        raise VosError(
            f"{path} is {width} x {height} pixels, but its frame is {size[1]} x {size[0]}: "
            "give a mask of the frame's size"
        )


def fit_to_frame(what: object, mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a mask at the size of its frame, by the nearest pixels; a change is said in a line.

    So a mask that was painted on a smaller or larger copy of the video serves as it is.

    Args:
        what: that it is, for messages.
        mask: (H, W) uint8 ids.
        size: (height, width) of the frame.

    Raises:
        UsageError: the proportions differ, beyond what copies are rounded by (half a pixel of each
            side), so nobody knows which part of the frame it shows.
    """
    if mask.shape == tuple(size):
        return mask
    height, width = size
    small, large = sorted((mask.shape, (height, width)))
    sizes = f"{what} is {mask.shape[1]} x {mask.shape[0]} pixels, its frame {width} x {height}"
    if 2 * abs(small[1] * large[0] - small[0] * large[1]) > large[0] + large[1]:
        raise UsageError(f"{sizes}: give a mask of the whole frame, in its proportions")
    log.warning("%s: it is resized to its frame by the nearest pixels", sizes)
    return np.array(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))


def mode_in_words(mode: str) -> str:
    """Return the kind of image that a mode of Pillow stands for."""
    return {"I;16": "16-bit grey", "I": "16-bit grey", "F": "floating-point"}.get(mode, mode)
