"""Masks as COCO run-length encoding, and as files of YouTube-VOS annotations.

A file holds one video in the layout of YouTube-VOS / YTVIS annotations, which COCO tools read:
``videos`` (one entry), ``categories`` (one, "object") and ``annotations``, one an object, whose
``id`` is the object id and whose lists ``segmentations``, ``bboxes`` (x, y, width, height in
pixels) and ``areas`` (pixels) have one entry a frame, null where the object is absent.
"""

from __future__ import annotations

import json
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from pycocotools import mask as coco

from vos.errors import VosError
from vos.files import atomic_path, read_json
from vos.media.masks import object_ids

_LISTS = ("segmentations", "bboxes", "areas")


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

    A context manager. What was written waits in a temporary file, not in memory, and the JSON
    file appears when the block ends; if the block fails, nothing is left. A frame written twice
    counts as it was last. Void pixels are left out.

    Args:
        path: the JSON file; its folder is made if need be.
        name: name of the video.
        size: (height, width) of the masks.
        frame_count: length of the lists, if more than the last frame written + 1.
        file_names: of the frames where each is a file; else they are numbered from 00000.jpg on.

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
        file_names: Sequence[str] = (),
    ) -> None:
        self.path = Path(path)
        self.name = name
        self.size = (int(size[0]), int(size[1]))
        self.frame_count = frame_count
        self.file_names = file_names
        # By object: frame index and place in the temporary file, three integers an entry.
        self._entries: dict[int, array[int]] = {}

    def __enter__(self) -> RleWriter:
        with ExitStack() as stack:
            self._temporary = stack.enter_context(atomic_path(self.path))
            self._waiting = stack.enter_context(tempfile.TemporaryFile(dir=self.path.parent))
            stack.push(self._finish)
            self._stack = stack.pop_all()
        return self

    def write(self, index: int, mask: np.ndarray) -> None:
        """Store the objects of frame ``index``; ``mask`` is (H, W) uint8 ids."""
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
                "segmentations": {
                    "size": list(self.size),
                    "counts": encoded["counts"].decode("ascii"),
                },
                "bboxes": coco.toBbox(encoded).tolist(),
                "areas": int(coco.area(encoded)),
            }
            self._append(id, index, json.dumps(record).encode())
        for id in self._entries.keys() - set(present):
            self._append(id, index, b"")

    def _append(self, id: int, index: int, record: bytes) -> None:
        place = (index, self._waiting.tell(), len(record))
        self._entries.setdefault(id, array("q")).extend(place)
        self._waiting.write(record)

    def _finish(self, kind: type[BaseException] | None, *_: object) -> None:
        """Gather what waits, object by object and list by list, unless the block failed."""
        if kind is not None:
            return
        height, width = self.size
        numbers = (f"{index:05d}.jpg" for index in range(self.frame_count))
        names = list(self.file_names) or list(numbers)
        video = {
            "id": 1,
            "name": self.name,
            "height": height,
            "width": width,
            "length": self.frame_count,
            "file_names": [f"{self.name}/{name}" for name in names],
        }
        head = {"videos": [video], "categories": [{"id": 1, "name": "object"}]}
        with self._temporary.open("w", encoding="utf-8", errors="backslashreplace") as out:
            out.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "annotations": [')
            for number, id in enumerate(sorted(self._entries)):
                known = {"id": id, "video_id": 1, "category_id": 1, "iscrowd": 0}
                known |= {"height": height, "width": width}
                out.write(",\n" * (number > 0) + json.dumps(known)[:-1])
                for name in _LISTS:
                    out.write(f', "{name}": [')
                    for index, record in enumerate(self._records(id)):
                        value = json.loads(record)[name] if record else None
                        out.write(", " * (index > 0) + json.dumps(value))
                    out.write("]")
                out.write("}")
            out.write("]}\n")

    def _records(self, id: int) -> Iterator[bytes]:
        """The record of one object in each frame, empty where it is absent."""
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
    """Read the file of one video, frame by frame.

    Yields:
        (H, W) uint8 ids. Where objects overlap, the one with the higher id is in front.

    Raises:
        VosError: the file cannot be read, holds not exactly one video, or is malformed.
    """
    content = read_json(path)
    try:
        if len(content["videos"]) != 1:
            raise VosError(f"{path} holds {len(content['videos'])} videos: give a file of one")
        video = content["videos"][0]
        objects = sorted((entry["id"], entry["segmentations"]) for entry in content["annotations"])
        for index in range(video["length"]):
            mask = np.zeros((video["height"], video["width"]), np.uint8)
            for id, segmentations in objects:
                if segmentations[index] is not None:
                    mask[decode_rle(segmentations[index]) > 0] = id
            yield mask
    except (KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise VosError(f"{path} is no YouTube-VOS annotation file: {error!r}") from error
