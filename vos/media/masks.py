"""Masks on disk: palette PNGs whose pixel values are object ids.

A mask is an ``(H, W)`` uint8 array of object ids: 0 is background, 255 is void (pixels that no
score counts), 1 to 254 are objects. Masks are read with Pillow, which gives the stored indices;
OpenCV would turn a palette into colours.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from vos.errors import VosError
from vos.files import atomic_path
from vos.media.images import open_image
from vos.media.png import decode_plain_png

VOID = 255

_WHAT_TO_DO = "save it as a palette or grey PNG whose pixel values are the object ids"


def _voc_palette() -> np.ndarray:
    """The PASCAL VOC colour map, which DAVIS uses: bit triples of the id, spread from bit 7 down.

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
    """The object ids in a mask, sorted, without background (0) and void (255).

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
                raise VosError(f"{path} is a {_kind(image.mode)} image, not a mask: {_WHAT_TO_DO}")
            mask = np.array(image, np.uint8)
    _check_size(path, mask, size)
    return mask


def read_mask(path: Path, *, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read a mask that a person made, in any form whose meaning is certain.

    - palette: the indices are the ids; if every colour used is a colour of the DAVIS palette, or
      only black and white occur, the colours decide instead (programs that optimise PNG files
      reorder palettes);
    - grey (8 or 16 bits): the values are the ids, except that an image of only black and white is
      one object, id 1;
    - RGB: colours of the DAVIS palette become their ids; grey colours are read as grey;
    - alpha: pixels less than half opaque are background.

    Args:
        path: the mask.
        size: expected (height, width), if known.

    Returns:
        (H, W) uint8 ids, 255 for void, writable.

    Raises:
        VosError: unreadable or truncated, of another size, lossy (JPEG), with colours that are
            not in the DAVIS palette, with soft edges, or with ids beyond 255.
    """
    with open_image(path) as image:
        if image.format in ("JPEG", "MPO"):
            raise VosError(f"{path} is a JPEG, which blurs object ids: save the mask as PNG")
        if image.mode == "P":
            mask = _ids_of_palette(np.array(image), np.array(image.getpalette("RGB"), np.uint8))
        elif image.mode in ("L", "1", "I", "I;16", "I;16B"):
            mask = _ids_of_grey(path, np.array(image))
        elif image.mode in ("RGB", "RGBA", "LA", "PA", "La", "RGBX"):
            rgba = np.array(image.convert("RGBA"))
            mask = _ids_of_colours(path, np.where(rgba[..., 3:] < 128, 0, rgba[..., :3]))
        else:
            raise VosError(f"{path} is a {_kind(image.mode)} image, not a mask: {_WHAT_TO_DO}")
    _check_size(path, mask, size)
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


def _check_size(path: Path, mask: np.ndarray, size: tuple[int, int] | None) -> None:
    if size is not None and mask.shape != tuple(size):
        height, width = mask.shape
        raise VosError(
            f"{path} is {width} x {height} pixels, but its frame is {size[1]} x {size[0]}: "
            "give a mask of the frame's size"
        )


def _ids_of_palette(indices: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Ids of a palette image, whose palette (up to 256 * 3 values) need not be ours."""
    colours = np.zeros((256, 3), np.uint8)
    colours.reshape(-1)[: palette.size] = palette
    if np.array_equal(colours, PALETTE):
        return indices
    used = np.flatnonzero(np.bincount(indices.ravel(), minlength=256))
    if _is_black_and_white(colours[used]):
        return (colours[:, 0] == 255)[indices].astype(np.uint8)
    ids, known = _palette_lookup(colours)
    return ids[indices] if known[used].all() else indices


def _ids_of_grey(path: Path, values: np.ndarray) -> np.ndarray:
    """Ids of a grey image of any depth; two-level images are one object."""
    if values.dtype == bool:
        return values.astype(np.uint8)
    white = 65535 if values.max() == 65535 else 255
    inside = (values > 0) & (values < white)
    if not inside.any():
        return (values == white).astype(np.uint8)
    if values.max() > 255 or values.min() < 0:
        raise VosError(f"{path} holds the value {int(values.max())}: ids lie between 0 and 255")
    levels = np.unique(values[inside])
    if len(levels) > 16 and (values == white).sum() > inside.sum():
        raise VosError(
            f"{path} has soft edges ({len(levels)} grey levels between black and white), "
            "which are not object ids: make it pure black and white"
        )
    return values.astype(np.uint8)


def _ids_of_colours(path: Path, rgb: np.ndarray) -> np.ndarray:
    """Ids of an (H, W, 3) uint8 image painted in palette colours or in grey."""
    codes = rgb.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    distinct, inverse = np.unique(codes, return_inverse=True)
    colours = np.stack([distinct >> 16, distinct >> 8 & 255, distinct & 255], 1).astype(np.uint8)
    ids, known = _palette_lookup(colours)
    if known.all():
        return ids[inverse].reshape(codes.shape)
    if (colours == colours[:, :1]).all():
        return _ids_of_grey(path, np.ascontiguousarray(rgb[..., 0]))
    foreign = tuple(colours[~known][0].tolist())
    raise VosError(
        f"{path} is an RGB image with colours outside the DAVIS palette (first {foreign}), "
        f"whose object ids are unknown: {_WHAT_TO_DO}"
    )


def _palette_lookup(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For (N, 3) colours, their ids in PALETTE, (N,) uint8, and whether they are in it, (N,)."""
    matches = (colours[:, None] == PALETTE[None]).all(2)
    return matches.argmax(1).astype(np.uint8), matches.any(1)


def _is_black_and_white(colours: np.ndarray) -> bool:
    return bool(((colours == 0).all(1) | (colours == 255).all(1)).all()) and bool(
        (colours == 255).any()
    )


def _kind(mode: str) -> str:
    return {"I;16": "16-bit grey", "I": "16-bit grey", "F": "floating-point"}.get(mode, mode)
