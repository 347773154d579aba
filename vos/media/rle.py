"""Masks as COCO run-length encoding, and files of them in two forms, told apart by their names.

Any ``.json`` has the form of COCO, which ``pycocotools.coco.COCO`` opens: one annotation per
object and frame with ``segmentation``, ``bbox`` (x, y, width, height in pixels) and ``area``
(pixels); one entry of ``images`` per frame; one of ``categories`` per object, with its id and name.
As in COCO-VID, ``videos`` has one entry, images have ``video_id`` and ``frame_id``, and annotations
have ``instance_id``, the object id.

A name that ends in ``.ytvis.json`` has the form of YouTube-VOS and YouTube-VIS, which their readers
open and ``COCO`` does not: one annotation per object, whose ``id`` is the object id and whose lists
``segmentations``, ``bboxes`` and ``areas`` have one entry per frame, null where the object is
absent; ``videos`` has one entry, ``categories`` one per object.
"""

from __future__ import annotations

import json
import logging
import tempfile
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

import numpy as np
from pycocotools import mask as coco

from vos.errors import VosError
from vos.files import atomic_path, read_json
from vos.media.masks import VOID, object_ids

log = logging.getLogger("vos")

YOUTUBE_VIS = ".ytvis.json"

_LISTS = {"segmentations": "segmentation", "bboxes": "bbox", "areas": "area"}


def encode_rle(binary: np.ndarray) -> dict[str, Any]:
    """Encode a binary (H, W) mask as ``{"size": [H, W], "counts": str}``, compressed COCO RLE."""
    encoded = coco.encode(np.asfortranarray(binary, np.uint8))
    return {"size": list(binary.shape), "counts": encoded["counts"].decode("ascii")}


def decode_rle(rle: dict[str, Any]) -> np.ndarray:
    """Decode COCO RLE, compressed or not, to an (H, W) uint8 mask of 0 and 1.

    Raises:
        VosError: the value is no RLE.
    """
    try:
        height, width = rle["size"]
        if isinstance(rle["counts"], list):
            filled = sum(rle["counts"]) == height * width
            rle = coco.frPyObjects(rle, height, width)
            decoded = coco.decode(rle)
        else:
            decoded = coco.decode(rle)
            # Where the runs end too early, pycocotools leaves what the memory held before.
            filled = decoded.max(initial=0) <= 1 and decoded.sum() == coco.area(rle)
    except (KeyError, TypeError, ValueError) as error:
        raise VosError(f"not a COCO run-length encoding: {error!r}") from error
    if not filled:
        raise VosError(f"not a COCO run-length encoding: the runs do not fill {width} x {height}")
    return np.ascontiguousarray(decoded)


class RleWriter:
    """Writes the masks of one video to a JSON file, one frame at a time, in any order.

    The form is that of COCO, or that of YouTube-VIS for a name ending in ``.ytvis.json``.

    A context manager. What was written waits in a temporary file, not in memory, and the JSON
    file appears when the block ends; if the block fails, nothing is left. A frame written twice
    counts as it was last. Void pixels are left out.

    Args:
        path: the JSON file; its folder is made if need be.
        name: name of the video.
        size: (height, width) of the masks.
        frame_count: number of frames, if more than the last frame written + 1.
        file_name: gives the name of a frame's image by its index; None numbers them from
            ``00000.jpg`` on.
        object_names: by object id; those that have none are called "object 1" and so on.

    Raises:
        VosError: a mask has another size, or the file cannot be written.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        name: str,
        size: tuple[int, int],
        frame_count: int = 0,
        file_name: Callable[[int], str] | None = None,
        object_names: Mapping[int, str] | None = None,
    ) -> None:
        self.path = Path(path)
        self.name = name
        self.size = (int(size[0]), int(size[1]))
        self.frame_count = frame_count
        self._file_name = file_name or "{:05d}.jpg".format
        self._object_names = dict(object_names or {})
        # By object: frame index and place in the temporary file, three integers an entry.
        self._entries: dict[int, array[int]] = {}

    def __enter__(self) -> RleWriter:
        with ExitStack() as stack:
            self._temporary = stack.enter_context(atomic_path(self.path))
            self._waiting = stack.enter_context(tempfile.TemporaryFile(dir=self.path.parent))
            stack.push(self._finish)
            self._stack = stack.pop_all()
        return self

    def write(
        self, index: int, mask: np.ndarray, *, scores: Mapping[int, float] | None = None
    ) -> None:
        """Store the objects of frame ``index``.

        Args:
            mask: (H, W) uint8 ids.
            scores: confidence by id, 0 to 1, stored as ``score`` where the form has a place for it
                (COCO, per frame).
        """
        if mask.shape != self.size:
            raise VosError(
                f"{self.path} takes masks of {self.size[1]} x {self.size[0]} pixels, "
                f"frame {index} is {mask.shape[1]} x {mask.shape[0]}"
            )
        self.frame_count = max(self.frame_count, index + 1)
        by_columns = np.asfortranarray(mask)
        present = object_ids(mask)
        for id in present:
            encoded = coco.encode((by_columns == id).view(np.uint8))
            record = {
                "segmentation": {
                    "size": list(self.size),
                    "counts": encoded["counts"].decode("ascii"),
                },
                "bbox": coco.toBbox(encoded).tolist(),
                "area": int(coco.area(encoded)),
            }
            if scores is not None and id in scores:
                record["score"] = scores[id]
            self._append(id, index, json.dumps(record).encode())
        for id in self._entries.keys() - set(present):
            self._append(id, index, b"")

    def _append(self, id: int, index: int, record: bytes) -> None:
        place = (index, self._waiting.tell(), len(record))
        self._entries.setdefault(id, array("q")).extend(place)
        self._waiting.write(record)

    def _finish(self, kind: type[BaseException] | None, *_: object) -> None:
        """Gather what waits, object by object, unless the block failed."""
        if kind is not None:
            return
        in_tracks = self.path.name.lower().endswith(YOUTUBE_VIS)
        head, annotations = (
            (self._youtube_vis_head(), self._tracks())
            if in_tracks
            else (self._coco_head(), self._annotations())
        )
        with self._temporary.open("w", encoding="utf-8", errors="backslashreplace") as out:
            out.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "annotations": [')
            out.writelines(annotations)
            out.write("]}\n")

    def _video(self) -> dict[str, Any]:
        height, width = self.size
        return {"id": 1, "name": self.name, "height": height, "width": width}

    def _files(self) -> list[str]:
        return [f"{self.name}/{self._file_name(index)}" for index in range(self.frame_count)]

    def _categories(self) -> list[dict[str, Any]]:
        names = self._object_names
        return [{"id": id, "name": names.get(id, f"object {id}")} for id in sorted(self._entries)]

    def _coco_head(self) -> dict[str, Any]:
        height, width = self.size
        images = [
            {"id": index + 1, "file_name": file, "height": height, "width": width}
            | {"video_id": 1, "frame_id": index}
            for index, file in enumerate(self._files())
        ]
        return {"videos": [self._video()], "images": images, "categories": self._categories()}

    def _annotations(self) -> Iterator[str]:
        """Yield the entries of COCO: one per object and frame that shows it."""
        number = 0
        for id in sorted(self._entries):
            for index, record in enumerate(self._records(id)):
                if not record:
                    continue
                number += 1
                entry = {"id": number, "image_id": index + 1, "category_id": id, "iscrowd": 0}
                entry |= {"video_id": 1, "instance_id": id}
                yield ",\n" * (number > 1) + json.dumps(entry | json.loads(record))

    def _youtube_vis_head(self) -> dict[str, Any]:
        video = self._video() | {"length": self.frame_count, "file_names": self._files()}
        return {"videos": [video], "categories": self._categories()}

    def _tracks(self) -> Iterator[str]:
        """Yield the entries of YouTube-VIS, a list at a time: one per object."""
        height, width = self.size
        for number, id in enumerate(sorted(self._entries)):
            entry = {"id": id, "video_id": 1, "category_id": id, "iscrowd": 0}
            entry |= {"height": height, "width": width}
            yield ",\n" * (number > 0) + json.dumps(entry)[:-1]
            for plural, single in _LISTS.items():
                yield f', "{plural}": ['
                for index, record in enumerate(self._records(id)):
                    value = json.loads(record)[single] if record else None
                    yield ", " * (index > 0) + json.dumps(value)
                yield "]"
            yield "}"

    def _records(self, id: int) -> Iterator[bytes]:
        """Yield the record of one object in each frame, empty where it is absent."""
        entries = np.array(self._entries[id], np.int64).reshape(-1, 3)
        places = np.zeros((self.frame_count, 2), np.int64)
        for index, *place in entries:
            places[index] = place
        for offset, length in places.tolist():
            self._waiting.seek(offset)
            yield self._waiting.read(length)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)


def read_rle(path: Path) -> Iterator[np.ndarray]:
    """Read the file of one video, in either form, frame by frame.

    COCO files of others are read as well: images are frames in the order of their ``frame_id`` or
    id, and an object is known by ``instance_id``, ``track_id`` or else its category.

    Yields:
        (H, W) uint8 ids. Where objects overlap, the one with the higher id is in front.

    Raises:
        VosError: the file cannot be read, holds not exactly one video, or is malformed.
    """
    return (mask for _, mask in read_named_rle(path, read_json(path)))


def read_named_rle(path: Path, content: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Return masks as `read_rle` does, with the name of each frame, without suffix.

    Args:
        path: the file, for messages.
        content: what it holds.

    Raises:
        VosError: as `read_rle`.
    """
    try:
        if len(content.get("videos", [0])) != 1:
            raise VosError(f"{path} holds {len(content['videos'])} videos: give a file of one")
        numbers = _object_numbers(content)
        if len(numbers) >= VOID:
            raise VosError(f"{path} holds {len(numbers)} objects: {VOID - 1} is the most")
        if any(id != number for id, number in numbers.items()):
            log.warning(
                "%s: its objects are numbered from 1 on, since masks hold ids of 1 to %d and "
                "it has %s", path, VOID - 1, ", ".join(map(str, numbers)),
            )  # fmt: skip
        frames = _coco_frames(content) if "images" in content else _youtube_vis_frames(content)
        for name, height, width, objects in frames:
            mask = np.zeros((height, width), np.uint8)
            for id, segmentation in sorted(objects, key=lambda pair: pair[0]):
                covered = _decoded(segmentation, height, width) > 0
                if covered.shape != mask.shape:
                    raise VosError(
                        f"{path}: run lengths of {covered.shape[1]} x {covered.shape[0]} pixels "
                        f"for frame {name} of {width} x {height}"
                    )
                mask[covered] = numbers[id]
            yield PurePath(name).stem, mask
    except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        missing = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise VosError(
            f"{path} is no file of COCO or YouTube-VIS annotations: {missing}"
        ) from error


def names_in_rle(content: Any) -> dict[int, str]:
    """Return the names of objects by id, where ``content`` has categories that name them.

    Several objects of one category have its name in common.
    """
    try:
        kinds = {kind["id"]: str(kind["name"]) for kind in content["categories"]}
        numbers = _object_numbers(content)
        return {
            numbers[_object_id(entry, content)]: kinds[entry["category_id"]]
            for entry in content["annotations"]
            if entry.get("category_id") in kinds
        }
    except (KeyError, TypeError, AttributeError):
        return {}


# Name, height and width of a frame, and its objects: ids with their segmentations.
_Frame = tuple[str, int, int, list[tuple[int, Any]]]


def _coco_frames(content: dict[str, Any]) -> Iterator[_Frame]:
    by_image: dict[int, list[tuple[int, Any]]] = defaultdict(list)
    for entry in content["annotations"]:
        by_image[entry["image_id"]].append((_object_id(entry, content), entry["segmentation"]))
    images = sorted(content["images"], key=lambda image: image.get("frame_id", image["id"]))
    for image in images:
        name = str(image.get("file_name", image.get("frame_id", image["id"])))
        yield name, image["height"], image["width"], by_image[image["id"]]


def _object_numbers(content: dict[str, Any]) -> dict[int, int]:
    """Return the ids of masks by those of the file: the same, or 1, 2, ... where one cannot be."""
    found = sorted({_object_id(entry, content) for entry in content["annotations"]})
    if all(1 <= id < VOID for id in found):
        return {id: id for id in found}
    return {id: number for number, id in enumerate(found, start=1)}


def _object_id(entry: dict[str, Any], content: dict[str, Any]) -> int:
    names = ("instance_id", "track_id", "category_id") if "images" in content else ("id",)
    value = entry[next((name for name in names if name in entry), names[-1])]
    try:
        return int(value)
    except ValueError as error:
        raise TypeError(f"an object is known by {value!r}, which is no number") from error


def _youtube_vis_frames(content: dict[str, Any]) -> Iterator[_Frame]:
    (video,) = content["videos"]
    tracks = [
        (_object_id(entry, content), entry["segmentations"]) for entry in content["annotations"]
    ]
    names = video.get("file_names") or list(map(str, range(video["length"])))
    for index in range(video["length"]):
        objects = [(id, parts[index]) for id, parts in tracks if parts[index] is not None]
        yield names[index], video["height"], video["width"], objects


def _decoded(segmentation: Any, height: int, width: int) -> np.ndarray:
    """Return a mask of 0 and 1 from run lengths, or from the polygons that COCO has too."""
    if isinstance(segmentation, list):
        segmentation = coco.merge(coco.frPyObjects(segmentation, height, width))
    return decode_rle(segmentation)
