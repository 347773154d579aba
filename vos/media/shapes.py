"""Shapes that annotation tools draw, gathered into masks with one id per object.

Tools that know of no objects in time say of a shape only what kind of thing it is, its label. So an
object is what the file itself calls one (a track, a group); where it calls nothing one, shapes of
one label on several frames are one object, and on a single frame each shape is an object.
"""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vos.errors import UsageError, VosError
from vos.media.masks import VOID

log = logging.getLogger("vos")

Frame = str | int  # the name of a frame, without suffix, or its number from 0 on
_ELLIPSE_CORNERS = 120


@dataclass(frozen=True)
class Shape:
    """A shape on one frame.

    Attributes:
        frame: the frame.
        kind: ``box``, or what the tool calls it.
        label: the kind of thing that it shows.
        area: gives it as (H, W) uint8 of 0 and 1; None of lines and points, which cover none.
        track: what it has in common with the other shapes of its object; None where that is not
            said.
        depth: shapes of greater depth are in front, then those that come later.
    """

    frame: Frame
    kind: str
    label: str
    area: Callable[[], np.ndarray] | None
    track: Hashable | None = None
    depth: int = 0


@dataclass(frozen=True)
class Annotations:
    """What a file says of a video.

    Attributes:
        names: of the objects, by id.
        masks: each frame that shows an object, with its mask, (H, W) uint8 ids; read as it is
            asked for, once.
    """

    names: Mapping[int, str]
    masks: Iterator[tuple[Frame, np.ndarray]]


def gather(path: Path, drawn: Iterable[Shape], *, fill_boxes: bool = False) -> Annotations:
    """Return the shapes of a file as masks; ids count from 1 on, in the order of the file.

    Shapes that cover no area are left out, which is said in a line.

    Args:
        path: the file, for messages.
        fill_boxes: take boxes for masks.

    Raises:
        UsageError: boxes, unless they are to be filled; or several shapes of one label that may
            be one object or many.
        VosError: more than 254 objects, or (as masks are read) a damaged shape.
    """
    drawn = list(drawn)
    boxes = sum(shape.kind == "box" for shape in drawn)
    if boxes and not fill_boxes:
        raise UsageError(
            f"{path} has {boxes} boxes, and what is in the corner of a box is no object: add "
            "`fill_boxes=True` to take them for masks, or draw masks or polygons"
        )
    others = Counter(shape.kind for shape in drawn if shape.area is None)
    if others:
        left = ", ".join(f"{count} {kind}" for kind, count in others.items())
        log.warning("%s: left out what covers no area: %s", path, left)
    shapes = [shape for shape in drawn if shape.area is not None]
    keys = _objects(path, shapes)
    ids = {key: id for id, key in enumerate(dict.fromkeys(keys), start=1)}
    if len(ids) >= VOID:
        raise VosError(f"{path} has {len(ids)} objects: at most {VOID - 1} can be followed at once")
    by_frame: dict[Frame, list[tuple[Shape, int]]] = defaultdict(list)
    for shape, key in zip(shapes, keys, strict=True):
        by_frame[shape.frame].append((shape, ids[key]))
    return Annotations(_names(shapes, keys, ids), _masks(path, by_frame))


def _masks(
    path: Path, by_frame: Mapping[Frame, list[tuple[Shape, int]]]
) -> Iterator[tuple[Frame, np.ndarray]]:
    for frame, shapes in by_frame.items():
        mask: np.ndarray | None = None
        for shape, id in sorted(shapes, key=lambda pair: pair[0].depth):
            assert shape.area is not None
            try:
                area = shape.area()
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise VosError(f"{path}: a {shape.kind} on frame {frame}: {error}") from error
            mask = np.zeros_like(area) if mask is None else mask
            if mask.shape != area.shape:
                raise VosError(f"{path} gives frame {frame} two sizes")
            mask[area > 0] = id
        assert mask is not None
        yield frame, mask


def _objects(path: Path, shapes: Sequence[Shape]) -> list[Hashable]:
    """Return, by shape, what its object is known by."""
    if len({shape.frame for shape in shapes}) == 1:
        return [("shape", i) if s.track is None else s.track for i, s in enumerate(shapes)]
    alone = Counter((shape.frame, shape.label) for shape in shapes if shape.track is None)
    for (frame, label), count in alone.items():
        if count > 1:
            raise UsageError(
                f"{path}: {count} shapes on frame {frame} are {label!r}, and which of them is "
                "which on other frames is not said: give each object a label of its own, make "
                "them tracks, or keep the shapes of one frame"
            )
    return [("label", s.label) if s.track is None else s.track for s in shapes]


def _names(
    shapes: Sequence[Shape], keys: Sequence[Hashable], ids: dict[Hashable, int]
) -> dict[int, str]:
    """Name objects by their labels, numbered where several have one label."""
    labels = {ids[key]: shape.label for key, shape in reversed([*zip(keys, shapes, strict=True)])}
    counts = Counter(labels.values())
    seen: Counter[str] = Counter()
    names = {}
    for id, label in sorted(labels.items()):
        seen[label] += 1
        names[id] = f"{label} {seen[label]}" if counts[label] > 1 else label
    return names


def fill(corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the inside of a polygon, (N, 2) x and y in pixels, as (height, width) uint8.

    Raises:
        ValueError: fewer than three corners, or a coordinate that is no number.
    """
    corners = np.asarray(corners, float)
    if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
        raise ValueError("a polygon has three corners or more")
    if not np.isfinite(corners).all():
        raise ValueError("the corners of a polygon are numbers")
    from pycocotools import mask as coco  # here, as training without shapes does without it

    encoded = coco.frPyObjects([corners.ravel().tolist()], *size)
    return np.ascontiguousarray(coco.decode(encoded)[..., 0])


def rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Return the corners of a rectangle, (4, 2)."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)


def ellipse(x: float, y: float, radius_x: float, radius_y: float) -> np.ndarray:
    """Return corners of a polygon that is an ellipse around (x, y) to a fraction of a pixel."""
    angles = np.linspace(0, 2 * math.pi, _ELLIPSE_CORNERS, endpoint=False)
    return np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], axis=1)


def turned(corners: np.ndarray, degrees: float, x: float, y: float) -> np.ndarray:
    """Return (N, 2) corners turned clockwise, as one looks at the picture, around (x, y)."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (corners - (x, y)) @ np.array([[cosine, sine], [-sine, cosine]]) + (x, y)
