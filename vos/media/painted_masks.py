"""Masks that a person painted, in any form whose meaning is certain.

What a grey image means is not written in it: its levels may be object ids, one object in white, or
shades of a soft edge. Here it is told from their shapes: the area of an object has a core, in which
a pixel and its eight neighbours are alike; the levels of a soft edge have none, and lie between a
lower and a higher one. What is read by a guess is said in a line (as a warning of the logger
``vos``), and what remains in doubt is an error that says what to do.
"""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from vos.errors import VosError
from vos.media.images import open_image
from vos.media.masks import PALETTE, VOID, WHAT_TO_DO, check_size, mode_in_words, object_ids
from vos.media.mots import MOTS_CLASS, ids_of_mots
from vos.media.png import grey_depth

log = logging.getLogger("vos")

_WHITE_16 = 65535
_WHITES_OF_CAMERAS = [[2**bits - 1] for bits in (10, 12, 14, 15)]
_MANY = 20  # ids beyond this, and more objects than this, are seldom meant
_NEAR = 8  # levels by which JPEG moves black and white
_FEW_PIXELS = 16
_REACH = 3  # pixels: half the width of a soft edge that is read, and of a border of void


def read_mask(path: Path, *, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read a mask that a person made, in any form whose meaning is certain.

    - palette: the indices are the ids; if every colour used is a colour of the DAVIS palette, or
      only black and white occur, the colours decide instead (programs that optimise PNG files
      reorder palettes);
    - grey (any depth): the values are the ids and 255 is void, except that an image of only black
      and white is one object, id 1; so is one with soft edges of a few pixels, or that was JPEG
      once, split at half. Where white is an area among greys that no one gives as ids (128 and
      255), the levels are objects 1, 2, ... from dark to light. Both are said in a line;
    - 16-bit grey whose values are 1000 * class + instance: MOTS, the instances are the ids;
    - RGB: colours of the DAVIS palette become their ids; grey colours are read as grey;
    - alpha: pixels less than half opaque are background.

    More than 20 objects, or more void than objects, are said in a line as well.

    Args:
        path: the mask.
        size: expected (height, width), if known.

    Returns:
        (H, W) uint8 ids, 255 for void, writable.

    Raises:
        VosError: unreadable or truncated, several pictures, of another size, lossy (JPEG), with
            colours that are not in the DAVIS palette, with wide soft edges or shades, or with ids
            beyond 255.
    """
    with open_image(path) as image:
        if image.format in ("JPEG", "MPO"):
            raise VosError(f"{path} is a JPEG, which blurs object ids: save the mask as PNG")
        mask = _ids_of_image(path, image)
    check_size(path, mask, size)
    _warn_of_unlikely(path, mask)
    return mask


def _ids_of_image(path: Path, image: Image.Image) -> np.ndarray:
    values = np.array(image)
    if image.mode == "P":
        return _ids_of_palette(path, values, np.array(image.getpalette("RGB"), np.uint8))
    if image.mode in ("L", "1", "I", "I;16", "I;16B"):
        return _ids_of_grey(path, values, step=_grey_step(path, image))
    if image.mode == "F" and np.array_equal(values, np.round(values)):
        return _ids_of_grey(path, values.astype(np.int64))
    if image.mode in ("RGB", "RGBA", "LA", "PA", "La", "RGBX"):
        rgba = np.array(image.convert("RGBA"))
        opaque = rgba[..., 3:] >= 128
        if not opaque.all() and opaque.any() and not rgba[..., :3][opaque[..., 0]].any():
            raise VosError(f"{path} is black where it is opaque: paint the object white")
        return _ids_of_colours(path, np.where(opaque, rgba[..., :3], 0))
    raise VosError(f"{path} is a {mode_in_words(image.mode)} image, not a mask: {WHAT_TO_DO}")


def _ids_of_palette(path: Path, indices: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Ids of a palette image, whose palette (up to 256 * 3 values) need not be ours."""
    colours = np.zeros((256, 3), np.uint8)
    colours.reshape(-1)[: palette.size] = palette
    if np.array_equal(colours, PALETTE):
        return indices
    used = np.flatnonzero(np.bincount(indices.ravel(), minlength=256))
    if _is_black_and_white(colours[used]):
        return (colours[:, 0] == 255)[indices].astype(np.uint8)
    ids, known = _palette_lookup(colours)
    if known[used].all():
        return ids[indices]
    if _is_grey(colours[used]):
        shown = colours[:, 0][indices]
        if np.array_equal(shown, indices) or _has_soft_edges(shown):
            return _ids_of_grey(path, shown)
    elif _has_soft_edges(cv2.cvtColor(colours[indices], cv2.COLOR_RGB2GRAY)):
        raise _soft(path)
    return indices


def _ids_of_colours(path: Path, rgb: np.ndarray) -> np.ndarray:
    """Ids of an (H, W, 3) uint8 image painted in palette colours or in grey."""
    codes = rgb.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    distinct, inverse = np.unique(codes, return_inverse=True)
    colours = np.stack([distinct >> 16, distinct >> 8 & 255, distinct & 255], 1).astype(np.uint8)
    ids, known = _palette_lookup(colours)
    if known.all():
        return ids[inverse].reshape(codes.shape)
    if _is_grey(colours):
        return _ids_of_grey(path, np.ascontiguousarray(rgb[..., 0]))
    foreign = tuple(colours[~known][0].tolist())
    raise VosError(
        f"{path} is an RGB image with colours outside the DAVIS palette (first {foreign}), "
        f"whose object ids are unknown: {WHAT_TO_DO}"
    )


def _palette_lookup(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For (N, 3) colours, their ids in PALETTE, (N,) uint8, and whether they are in it, (N,)."""
    matches = (colours[:, None] == PALETTE[None]).all(2)
    return matches.argmax(1).astype(np.uint8), matches.any(1)


def _is_grey(colours: np.ndarray) -> bool:
    return bool((colours == colours[:, :1]).all())


def _is_black_and_white(colours: np.ndarray) -> bool:
    return bool(((colours == 0).all(1) | (colours == 255).all(1)).all()) and bool(
        (colours == 255).any()
    )


def _grey_step(path: Path, image: Image.Image) -> int:
    """Return what Pillow multiplies the values of 2- and 4-bit grey PNGs by, to make white 255."""
    depth = grey_depth(path) if image.format == "PNG" and image.mode == "L" else None
    return {2: 85, 4: 17}.get(depth or 8, 1)


def _ids_of_grey(path: Path, values: np.ndarray, *, step: int = 1) -> np.ndarray:
    """Ids of a grey image, (H, W) of any integer type, whose ids are multiplied by ``step``."""
    if values.dtype == bool:
        return values.astype(np.uint8)
    levels = _levels(values)
    if levels.size == 0:
        return np.zeros(values.shape, np.uint8)
    white = _WHITE_16 if levels[-1] == _WHITE_16 else VOID
    if levels.tolist() == [white]:
        return (values == white).astype(np.uint8)
    if levels[0] < 0 or levels[-1] > white or (white == _WHITE_16 and levels[0] <= VOID):
        return _ids_of_deep(path, values, levels)
    shades = values.astype(np.uint8) if white == VOID else _to_8_bits(values)
    ids = levels[levels < VOID]
    in_a_row = white == VOID and np.array_equal(ids, 1 + np.arange(len(ids)))
    objects = np.where(shades == VOID, 0, shades) if in_a_row else shades  # 255 is void for sure
    if _has_soft_edges(objects) or _was_jpeg(shades):
        return _halves(path, shades)
    if step > 1:
        return (shades // step).astype(np.uint8)
    return _ids_of_levels(path, shades)


def _levels(values: np.ndarray) -> np.ndarray:
    """Return the distinct values but 0, increasing."""
    if values.dtype == np.uint8:
        return 1 + np.flatnonzero(np.bincount(values.ravel(), minlength=256)[1:])
    return np.unique(values[values != 0])


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """0 to 65535 as 0 to 255, and nothing but 0 as 0."""
    return np.where(values > 0, np.maximum(1, (values.astype(np.int64) + 128) // 257), 0).astype(
        np.uint8
    )


def _ids_of_deep(path: Path, values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Ids of values that no 8 bits hold: one object in the white of a camera, MOTS, or none."""
    if levels.tolist() in _WHITES_OF_CAMERAS:
        log.warning("%s: %d is read as white, one object", path, levels[0])
        return (values == levels[0]).astype(np.uint8)
    if (
        len(levels) > _MANY
        and levels[0] > 0
        and _has_soft_edges((values * (VOID / levels[-1])).astype(np.uint8))
    ):
        raise _soft(path)
    if levels[0] < MOTS_CLASS:
        wrong = int(levels[-1] if levels[0] >= 0 else levels[0])
        raise VosError(
            f"{path} holds the value {wrong}: ids lie between 0 and 255, so {WHAT_TO_DO}"
        )
    mask = ids_of_mots(str(path), values)
    log.warning(
        "%s: values such as %d are read as MOTS, 1000 * class + object", path, int(levels[0])
    )
    return mask


def _ids_of_levels(path: Path, shades: np.ndarray) -> np.ndarray:
    """Ids of (H, W) uint8 areas with hard edges; whether 255 is void is told by what is beside."""
    white = shades == VOID
    if not white.any() or _is_border(white, shades):
        return shades
    levels = _levels(shades)
    if levels[0] <= _MANY:
        log.warning("%s: 255 is read as void, which belongs to no object", path)
        return shades
    if len(levels) > _MANY or levels[0] >= VOID - _NEAR:
        raise VosError(
            f"{path} holds {len(levels)} grey levels from {levels[0]} to 255, which may be ids, "
            f"void or shades: {WHAT_TO_DO}"
        )
    if not np.isin(levels, shades[_areas(shades)]).all():
        return _halves(path, shades)
    names = ", ".join(map(str, levels.tolist()))
    log.warning(
        "%s: the grey levels %s are read as objects 1 to %d, in this order",
        path,
        names,
        len(levels),
    )
    return np.searchsorted(np.append(0, levels), shades).astype(np.uint8)


def _is_border(white: np.ndarray, shades: np.ndarray) -> bool:
    """Return whether white is nowhere wide and everywhere near an object, as void is."""
    wide = cv2.erode(white.astype(np.uint8), _square(_REACH))
    objects = ((shades > 0) & ~white).astype(np.uint8)
    alone = white & (cv2.dilate(objects, _square(_REACH)) == 0)
    return not wide.any() and not alone.any()


def _has_soft_edges(shades: np.ndarray) -> bool:
    """Return whether levels of an (H, W) uint8 image are steps or specks of edges, and not areas.

    A step belongs to no area of one level with a core of 3 x 3 pixels, and has a darker and a
    lighter pixel among its eight neighbours; a speck belongs to none and touches another level
    that is not black. Edges are soft where most of their pixels are steps, where most levels are
    specks, where a level consists of steps alone, or where levels without any area crowd around
    one that has some, as JPEG leaves them.
    """
    lowest, highest = cv2.erode(shades, _square(1)), cv2.dilate(shades, _square(1))
    lowest_above_black = cv2.erode(np.where(shades == 0, VOID, shades), _square(1))
    no_area = ~_areas(shades)
    step = (lowest < shades) & (shades < highest) & no_area
    speck = ((lowest_above_black < shades) | (shades < highest)) & no_area
    edge = (shades > 0) & (lowest < highest)

    pixels, steps, specks = (
        np.bincount(levels, minlength=256)[1:]
        for levels in (shades.ravel(), shades[step], shades[speck])
    )
    speck_levels = np.flatnonzero(2 * specks > pixels) + 1
    area_levels = np.unique(shades[(shades > 0) & ~no_area])
    crowded = np.abs(speck_levels[:, None] - area_levels.astype(int)) <= _NEAR
    return bool(
        2 * step.sum() > edge.sum()
        or (len(speck_levels) > 3 and 2 * len(speck_levels) > np.count_nonzero(pixels))
        or ((steps >= _FEW_PIXELS) & (10 * steps >= 9 * pixels)).any()
        or (crowded.any() and area_levels[0] > _MANY)
    )


def _areas(shades: np.ndarray) -> np.ndarray:
    """Return which pixels, (H, W) bool, belong to a square of 3 x 3 pixels of one level."""
    flat = cv2.erode(shades, _square(1)) == cv2.dilate(shades, _square(1))
    return cv2.dilate(flat.astype(np.uint8), _square(1)) > 0


def _was_jpeg(shades: np.ndarray) -> bool:
    """Return whether all levels crowd around black and white, as JPEG leaves such an image."""
    levels = _levels(shades)
    middle = (levels > _NEAR) & (levels < VOID - _NEAR)
    dark = levels <= _NEAR
    light = (levels >= VOID - _NEAR) & (levels < VOID)
    return bool(not middle.any() and light.any() and (dark.any() or light.sum() > 1))


def _halves(path: Path, shades: np.ndarray) -> np.ndarray:
    """One object where a black and white image with narrow soft edges is lighter than half.

    Raises:
        VosError: greys farther from black or white than an edge is wide, or an object too thin or
            too small to be split at half.
    """
    dark, light = shades <= _NEAR, shades >= VOID - _NEAR
    in_reach = [cv2.dilate(part.astype(np.uint8), _square(_REACH)) > 0 for part in (dark, light)]
    mask = (shades > VOID // 2).astype(np.uint8)
    covered = shades.sum(dtype=np.int64) / VOID
    has_core = cv2.erode(light.astype(np.uint8), _square(1)).any()
    all_at_edges = (dark | light | (in_reach[0] & in_reach[1])).all()
    if not (has_core and all_at_edges and abs(covered - mask.sum()) <= 0.1 * covered):
        raise _soft(path)
    log.warning("%s has soft edges: it is read as one object, split at half", path)
    return mask


def _soft(path: Path) -> VosError:
    return VosError(
        f"{path} has soft edges or shades, which are not object ids: make it pure black and white, "
        f"or {WHAT_TO_DO}"
    )


def _square(reach: int) -> np.ndarray:
    return np.ones((2 * reach + 1,) * 2, np.uint8)


def _warn_of_unlikely(path: Path, mask: np.ndarray) -> None:
    objects = len(object_ids(mask))
    if objects > _MANY:
        log.warning("%s holds %d objects: are its values object ids?", path, objects)
    void = np.count_nonzero(mask == VOID)
    if void > np.count_nonzero(mask) - void:
        log.warning("%s is void (255) on more pixels than it has objects on", path)
