"""Masks as people have them at hand, read and checked in one place: `vos.propagate`, `vos.Session`.

A mask may be an array of ids (also boolean, of floats that are whole numbers, with a last axis of
one, or of three alike, as OpenCV reads grey images), a tensor, a Pillow image, or the path of a
mask file. Masks of 0 and 255 alone, as OpenCV and paint programs make them, are one object, id 1.
Those of a smaller or larger copy of the video are resized by the nearest pixels, which is said in a
line.
"""

from __future__ import annotations

import operator
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from vos.errors import MissingError, UsageError, VosError
from vos.files import as_path
from vos.media import VOID, Video, object_ids, read_mask
from vos.media.frame_sequence import as_array
from vos.media.masks import fit_to_frame

if TYPE_CHECKING:
    from torch import Tensor

Mask: TypeAlias = "np.ndarray | Tensor | Image.Image | str | Path"

FORM = "give masks by frame index: {0: mask}"


def check_marks(masks: Mapping[int, Mask], video: Video) -> dict[int, np.ndarray]:
    """Return the masks of frames that can be propagated through ``video``; copies of them.

    Returns:
        (H, W) uint8 ids by frame index, in order.

    Raises:
        UsageError: no masks, or not a mapping from frame indices to masks; a mask that is none,
            that shows no object, that has other proportions than the frames, or whose ids are not
            0 to 255; a frame that is not there. The message names the frame.
        MissingError: there is no such mask file.
        VosError: a mask file that cannot be read.
    """
    if not isinstance(masks, Mapping):
        raise UsageError(f"masks are {_kind(masks)}: {FORM}")
    if not masks:
        raise UsageError(f"no mask given: annotate at least one frame, {FORM}")
    indices = {frame_index(index): mask for index, mask in masks.items()}
    given = {index: _ids(mask, index, video) for index, mask in indices.items()}
    known = {object_id for mask in given.values() for object_id in object_ids(mask)}
    checked = {index: _meant(mask, index, known) for index, mask in given.items()}
    for index, mask in checked.items():
        if not object_ids(mask):
            raise UsageError(
                f"the mask of frame {index} is all background: paint at least one object"
            )
    check_frames(checked, video)
    return dict(sorted(checked.items()))


def check_mask(mask: Mask, index: int, video: Video, *, known: Collection[int] = ()) -> np.ndarray:
    """Return one mask as (H, W) uint8 ids, a copy; it may be all background.

    Args:
        known: ids in use: 0 and 255 alone are object 1 unless others than it are known.

    Raises:
        UsageError, VosError: as `check_marks`.
    """
    ids = _ids(mask, frame_index(index), video)
    check_frames([index], video)
    return _meant(ids, index, known)


def frame_index(index: Any) -> int:
    """Return ``index`` as an int.

    Raises:
        UsageError: it is no whole number, or negative.
    """
    try:
        number = operator.index(index)
    except TypeError:
        raise UsageError(f"{index!r} is no frame index, a whole number from 0 on: {FORM}") from None
    if number < 0:
        raise UsageError(f"frames are counted from 0, there is no frame {number}")
    return number


def check_frames(indices: Collection[int], video: Video) -> None:
    """Raise a UsageError where ``video`` is too short for one of ``indices``."""
    # Counting reads through a file, so only where it matters.
    last = max(indices)
    if last > 0 and video.rereadable and last >= (count := video.count_frames()):
        raise UsageError(f"{video.path} has no frame {last}: its {count} frames are counted from 0")


def _meant(ids: np.ndarray, index: int, known: Collection[int]) -> np.ndarray:
    """Return a mask of 0 and 255 alone as object 1; nobody knows which it is where there are more.

    Raises:
        UsageError: others than 1 are known.
    """
    if not ids.any() or object_ids(ids):
        return ids
    if not set(known) <= {1}:
        raise UsageError(
            f"the mask of frame {index} holds 0 and {VOID} alone, and there are the objects "
            f"{', '.join(map(str, sorted(known)))}: give the id of the one it shows"
        )
    return (ids == VOID).astype(np.uint8)


def _ids(mask: Mask, index: int, video: Video) -> np.ndarray:
    """Return (H, W) uint8 ids, a copy, of the size of the video."""
    what = f"the mask of frame {index}"
    if isinstance(mask, str | Path):
        if not as_path(mask, what).exists():
            raise MissingError(f"{what}: there is no file {mask}; give a file or an array of ids")
        return fit_to_frame(mask, read_mask(Path(mask)), video.size)
    if isinstance(mask, Image.Image):
        values = _read_image(mask, what)
    else:
        values = _to_uint8(as_array(mask), what)
    return fit_to_frame(what, values, video.size)


def _to_uint8(values: np.ndarray | None, what: str) -> np.ndarray:
    if values is None or values.dtype.kind not in "buif":
        kind = "no array" if values is None else f"an array of {values.dtype}"
        raise UsageError(
            f"{what} is {kind}: give a (height, width) array of object ids, a Pillow image, or "
            "the path of a mask file"
        )
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[2]):
        values = values[..., 0] if values.shape[2] == 1 else values[0]
    if values.ndim == 3 and values.shape[2] == 3 and (values == values[..., :1]).all():
        values = values[..., 0]  # a grey image as OpenCV reads it
    if values.ndim != 2 or values.size == 0:
        raise UsageError(
            f"{what} has the shape {values.shape}: a mask is (height, width), one object id "
            "per pixel"
        )
    if values.dtype == bool:
        return values.astype(np.uint8)
    if values.dtype.kind == "f" and not (np.isfinite(values) & (values == np.floor(values))).all():
        raise UsageError(
            f"{what} holds fractions: object ids are whole numbers; for one object give mask > 0.5"
        )
    low, high = values.min(), values.max()
    if low < 0 or high > VOID:
        wrong = int(low if low < 0 else high)
        raise UsageError(
            f"{what} holds the value {wrong}: object ids lie between 1 and 254, 0 is background, "
            "255 void"
        )
    return values.astype(np.uint8)


def _read_image(image: Image.Image, what: str) -> np.ndarray:
    """Read a Pillow image by the rules for files."""
    if image.format in ("JPEG", "MPO"):
        raise UsageError(f"{what} is a JPEG, which blurs object ids: save the mask as PNG")
    with tempfile.TemporaryDirectory(prefix="vos-mask-") as folder:
        path = Path(folder) / "mask.png"
        try:
            image.save(path)
        except (OSError, ValueError) as error:
            raise UsageError(f"{what}: {error}") from error
        try:
            return read_mask(path)
        except VosError as error:
            raise type(error)(str(error).replace(str(path), what)) from error


def _kind(value: object) -> str:
    if isinstance(value, list | tuple):
        return "a list"
    return "one mask" if hasattr(value, "shape") else f"of type {type(value).__name__}"
