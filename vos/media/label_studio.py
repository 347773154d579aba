"""Annotations as Label Studio exports them: JSON, a list of tasks, one per image.

A region is painted (``brush``: run lengths of an RGBA picture, whose alpha is the mask), a polygon,
an ellipse or a rectangle; places are in hundredths of the picture. The forms are described at
https://labelstud.io/tags/brushlabels and the pages beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from vos.errors import UsageError, VosError
from vos.media.shapes import Annotations, Shape, ellipse, fill, gather, rectangle, turned

# Regions that cover an area, and what `Shape.kind` calls them; then those that cover none.
_AREAS = {"brush": "brush", "polygon": "polygon", "ellipse": "ellipse", "rectangle": "box"}
_LINES = frozenset({"keypoint", "vector", "videorectangle"})
_PREFIX = re.compile(r"^[0-9a-f]{8}-")  # of uploaded files, so that their names differ


def is_label_studio(content: Any) -> bool:
    """Tell whether what a JSON file holds is an export of Label Studio."""
    return isinstance(content, list) and all(
        isinstance(task, dict) and "annotations" in task for task in content
    )


def read_label_studio(path: Path, content: Any, *, fill_boxes: bool = False) -> Annotations:
    """Read an export that `is_label_studio` accepts.

    Args:
        path: the file, for messages.
        content: what it holds.
        fill_boxes: take rectangles for masks.

    Raises:
        UsageError: several annotations of one image; or as `vos.media.shapes.gather`.
        VosError: the same, or it is not of this form.
    """
    try:
        shapes = [shape for task in content for shape in _shapes(path, task)]
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        if isinstance(error, VosError):
            raise
        raise VosError(f"{path} is no file of Label Studio: {error!r}") from error
    return gather(path, shapes, fill_boxes=fill_boxes)


def _shapes(path: Path, task: Mapping[str, Any]) -> Iterator[Shape]:
    frame = _frame(task)
    given = [each for each in task["annotations"] if not each.get("was_cancelled")]
    if len(given) > 1:
        raise UsageError(f"{path} has {len(given)} annotations of {frame}: keep one of them")
    regions = [region for each in given for region in each["result"]]
    labels = {each["id"]: each["value"]["labels"] for each in regions if each["type"] == "labels"}
    for region in regions:
        kind = region["type"].removesuffix("labels")
        if kind not in _LINES and kind not in _AREAS:
            continue
        label, *_ = region["value"].get(f"{kind}labels") or labels.get(region["id"]) or [kind]
        area = partial(_area, kind, region) if kind in _AREAS else None
        yield Shape(frame, _AREAS.get(kind, kind), label, area)


def _frame(task: Mapping[str, Any]) -> str:
    """Return the name of the image of a task, without folder, suffix and the prefix of uploads."""
    texts = [value for value in task["data"].values() if isinstance(value, str)]
    address = next((text for text in texts if "/" in text or "." in text), None)
    if address is None:
        raise ValueError(f"task {task.get('id')} names no image")
    parts = urlsplit(address)
    local = parse_qs(parts.query).get("d")  # /data/local-files/?d=FOLDER/NAME
    name = PurePosixPath(local[0] if local else unquote(parts.path)).stem
    return _PREFIX.sub("", name)


def _area(kind: str, region: Mapping[str, Any]) -> np.ndarray:
    """Return what a region covers, (H, W) uint8 of 0 and 1."""
    size = int(region["original_height"]), int(region["original_width"])
    value = region["value"]
    if region.get("image_rotation"):
        raise ValueError("an image that was turned in Label Studio")
    if kind == "brush":
        alpha = decode_brush(value["rle"], 4 * size[0] * size[1]).reshape(*size, 4)[..., 3]
        return (alpha > 0).astype(np.uint8)
    scale = np.array([size[1], size[0]]) / 100
    if kind == "polygon":
        return fill(np.array(value["points"], float) * scale, size)
    x, y = float(value["x"]) * scale[0], float(value["y"]) * scale[1]
    if kind == "ellipse":
        radii = float(value["radiusX"]) * scale[0], float(value["radiusY"]) * scale[1]
        corners = ellipse(x, y, *radii)
    else:
        width, height = float(value["width"]) * scale[0], float(value["height"]) * scale[1]
        corners = rectangle(x, y, x + width, y + height)
    return fill(turned(corners, float(value.get("rotation") or 0), x, y), size)


def decode_brush(encoded: list[int], count: int) -> np.ndarray:
    """Decode the run lengths of a brush, (count,) uint8: RGBA, row by row.

    The bytes are a stream of bits, the highest first: 32 bits, the number of values; 5 bits, the
    width of a value less 1; four times 4 bits, the widths of lengths less 1. Then blocks: 1 bit,
    if the block is one value repeated; 2 bits, which width its length has; the length less 1; the
    value, or so many values.

    Raises:
        ValueError: the stream ends too early, is none, or has another number of values.
    """
    stream = _Bits(encoded)
    if stream.take(32) != count:
        raise ValueError("a brush of another size than its picture")
    width = stream.take(5) + 1
    if width > 8:
        raise ValueError("a brush has values of 8 bits")
    lengths = [stream.take(4) + 1 for _ in range(4)]
    blocks: list[np.ndarray] = []
    filled = 0
    while filled < count:
        repeated = stream.take(1)
        length = stream.take(lengths[stream.take(2)]) + 1
        blocks.append(
            np.full(length, stream.take(width), np.uint8)
            if repeated
            else stream.take_many(length, width)
        )
        filled += length
    return np.concatenate(blocks)[:count]


class _Bits:
    """Bits of bytes, taken from the front."""

    def __init__(self, encoded: list[int]) -> None:
        self._bits = np.unpackbits(np.array(encoded, np.uint8))
        self._place = 0

    def take(self, width: int) -> int:
        return int.from_bytes(np.packbits(self._next(width, align=True)).tobytes())

    def take_many(self, count: int, width: int) -> np.ndarray:
        bits = self._next(count * width).reshape(count, width)
        return np.packbits(bits, axis=1)[:, 0] >> (8 - width)

    def _next(self, count: int, *, align: bool = False) -> np.ndarray:
        taken = self._bits[self._place : self._place + count]
        if len(taken) < count:
            raise ValueError("the run lengths of a brush end too early")
        self._place += count
        return np.concatenate([np.zeros(-count % 8, np.uint8), taken]) if align else taken
