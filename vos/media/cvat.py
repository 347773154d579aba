"""Annotations as CVAT exports them: XML, "CVAT for video 1.1" and "CVAT for images 1.1".

A video has ``track`` elements, which hold the shapes of one object by frame number; images have an
``image`` element each, which holds shapes. Shapes are masks (run lengths by rows within a
rectangle, background first), polygons, ellipses and boxes. CVAT writes a shape that is in no track
as a track of one frame: such a track does not say which object it is.

The form is described at https://docs.cvat.ai/docs/other/xml_format.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePath
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from vos.errors import VosError
from vos.media.shapes import Annotations, Frame, Shape, ellipse, fill, gather, rectangle, turned

XML_NAME = "annotations.xml"  # in an archive
_AREAS = ("mask", "polygon", "ellipse", "box")
_LINES = ("polyline", "points", "cuboid", "skeleton")


def read_cvat(path: Path, *, size: tuple[int, int], fill_boxes: bool = False) -> Annotations:
    """Read the annotations of one video or of its images.

    Args:
        path: the XML file, or an archive with one, as CVAT exports both.
        size: (height, width) of the frames, where the file does not tell it.
        fill_boxes: take boxes for masks.

    Raises:
        UsageError: as `vos.media.shapes.gather`.
        VosError: the same, or the file cannot be read, or is not of this form.
    """
    root = _read(path)
    if root.tag != "annotations":
        raise VosError(f"{path} is no file of CVAT: it holds {root.tag!r}, not 'annotations'")
    try:
        shapes = [*_of_images(root), *_of_tracks(root, size)]
    except (KeyError, ValueError) as error:
        raise VosError(f"{path} is no file of CVAT 1.1: {error!r}") from error
    return gather(path, shapes, fill_boxes=fill_boxes)


def holds_cvat(path: Path) -> bool:
    """Tell whether an archive is an export of CVAT with an XML file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return XML_NAME in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _read(path: Path) -> Element:
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                return ElementTree.fromstring(archive.read(XML_NAME))
        return ElementTree.parse(path).getroot()
    except OSError as error:
        raise VosError(f"cannot read {path}: {error.strerror or error}") from error
    except (ElementTree.ParseError, zipfile.BadZipFile) as error:
        raise VosError(f"{path} is not XML: {error}") from error


def _of_images(root: Element) -> Iterator[Shape]:
    for image in root.iter("image"):
        size = int(image.attrib["height"]), int(image.attrib["width"])
        name = PurePath(image.attrib["name"]).stem
        for element in image:
            if element.tag in _AREAS + _LINES:
                yield _shape(element, name, element.attrib["label"], _group(element), size)


def _of_tracks(root: Element, size: tuple[int, int]) -> Iterator[Shape]:
    told = next(root.iter("original_size"), None)
    if told is not None:
        size = int(told.findtext("height", "")), int(told.findtext("width", ""))
    for number, track in enumerate(root.iter("track")):
        shown = [each for each in track if each.get("outside", "0") == "0"]
        key = _group(track) if len(shown) == 1 else ("track", number)
        for element in shown:
            frame = int(element.attrib["frame"])
            yield _shape(element, frame, track.attrib["label"], key, size)


def _group(element: Element) -> tuple[str, str] | None:
    """Return the group that the annotator put a shape into; None for 0, which is no group."""
    number = element.get("group_id", "0")
    return None if number == "0" else ("group", number)


def _shape(
    element: Element,
    frame: Frame,
    label: str,
    key: tuple[str, str | int] | None,
    size: tuple[int, int],
) -> Shape:
    area = partial(_area, element, size) if element.tag in _AREAS else None
    return Shape(frame, element.tag, label, area, key, int(element.get("z_order", 0)))


def _area(element: Element, size: tuple[int, int]) -> np.ndarray:
    """Return what a shape covers of a frame of ``size``, as uint8 of 0 and 1."""
    get = element.attrib
    if element.tag == "mask":
        return _unrolled(element, size)
    if element.tag == "polygon":
        pairs = [point.split(",") for point in get["points"].split(";") if point]
        return fill(np.array(pairs, float), size)
    if element.tag == "ellipse":
        x, y = float(get["cx"]), float(get["cy"])
        corners = ellipse(x, y, float(get["rx"]), float(get["ry"]))
    else:
        corners = rectangle(*(float(get[name]) for name in ("xtl", "ytl", "xbr", "ybr")))
        x, y = corners.mean(axis=0)
    return fill(turned(corners, float(get.get("rotation", 0)), x, y), size)


def _unrolled(element: Element, size: tuple[int, int]) -> np.ndarray:
    left, top, width, height = (int(element.attrib[n]) for n in ("left", "top", "width", "height"))
    runs = np.array(element.attrib["rle"].split(","), int)
    inside = np.repeat(np.arange(len(runs)) % 2, runs)
    if left < 0 or top < 0 or left + width > size[1] or top + height > size[0]:
        raise ValueError(f"a mask reaches beyond {size[1]} x {size[0]} pixels")
    mask = np.zeros(size, np.uint8)
    mask[top : top + height, left : left + width] = inside.reshape(height, width)
    return mask
