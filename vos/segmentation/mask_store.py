"""The masks and marks of one video on disk, one file per frame, and what is known of each frame.

A file is never written in place, so a hard link keeps what a frame was, at no cost at first.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vos.errors import UsageError, VosError
from vos.files import read_json, write_json
from vos.media import object_ids, read_palette_mask, write_mask
from vos.segmentation.confidence import Confidence, FrameConfidence, frame_confidence
from vos.segmentation.passes import NOBODY, Ids

SAVED = "session.json"


@dataclass(frozen=True)
class Mark:
    """What a person said of a frame.

    Attributes:
        shown: ids of the objects in the mask given.
        erased: ids taken away there: those objects are gone from there on, while others that do not
            show are merely hidden.
    """

    shown: Ids
    erased: Ids = NOBODY


@dataclass(frozen=True)
class FrameState:
    """A frame as it was: links to its files (None: there was none), its mark, its confidence."""

    mask: Path | None
    mark: Path | None
    said: Mark | None
    confidence: FrameConfidence


class MaskStore:
    """Masks by frame, and the marks among them.

    Attributes:
        marks: what was said of the marked frames.
        confidence: in the masks, and in their objects.
    """

    def __init__(self, folder: Path, size: tuple[int, int], frame_count: int) -> None:
        self.folder = folder
        self.size = size
        self.marks: dict[int, Mark] = {}
        self.confidence = Confidence(frame_count)

    def save(self) -> None:
        """Write beside the masks what is known of them, for `load`."""
        known = {index: self.confidence[index] for index in self.masked_frames()}
        write_json(
            self.folder / SAVED,
            {
                "size": list(self.size),
                "frames": len(self.confidence.frames),
                "erased": {str(i): sorted(mark.erased) for i, mark in sorted(self.marks.items())},
                "confidence": {str(i): round(found.frame, 4) for i, found in known.items()},
                "objects": {
                    str(i): {str(id): round(value, 4) for id, value in found.objects.items()}
                    for i, found in known.items()
                },
            },
        )

    def load(self) -> None:
        """Go on with the masks and marks that lie in the folder since `save`.

        Raises:
            UsageError: they are of a video of another size or length.
            VosError: what was saved is damaged.
        """
        path = self.folder / SAVED
        try:
            saved = read_json(path)
            size, frames = tuple(saved["size"]), saved["frames"]
            erased = {int(i): frozenset(map(int, ids)) for i, ids in saved["erased"].items()}
            confidence = {int(i): float(value) for i, value in saved["confidence"].items()}
            objects = {
                int(i): {int(id): float(value) for id, value in found.items()}
                for i, found in saved.get("objects", {}).items()  # there are none in older files
            }
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise VosError(f"{path} is damaged: save the session again") from error
        if (size, frames) != (self.size, len(self.confidence.frames)):
            raise UsageError(
                f"{self.folder} holds masks of {frames} frames of {size[-1]} x {size[0]} pixels, "
                f"the video has {len(self.confidence.frames)} of {self.size[1]} x {self.size[0]}"
            )
        marked = _frames_in(self.folder / "marks")
        named = {*erased, *confidence, *objects, *marked, *self.masked_frames()}
        if not named <= set(range(frames)):
            raise VosError(f"{path} is damaged: it names frames that there are not")
        for index in marked:
            given = frozenset(object_ids(self.marked_mask(index)))
            self.marks[index] = Mark(given, erased.get(index, NOBODY) - given)
        for index in self.masked_frames():
            shown = object_ids(self.mask(index))  # of this size
            frame = confidence.get(index, 1.0)
            known = objects.get(index, dict.fromkeys(shown, frame))
            self.confidence[index] = FrameConfidence(frame, known)

    def mask_path(self, index: int) -> Path:
        """Return where the mask of a frame stands, or would."""
        return self.folder / "masks" / f"{index:05d}.png"

    def has_mask(self, index: int) -> bool:
        """Return whether a frame has a mask, given or propagated."""
        return self.mask_path(index).is_file()

    def mask(self, index: int) -> np.ndarray:
        """Return (H, W) uint8 ids of a frame, all background where nothing is known."""
        path = self.mask_path(index)
        if not path.is_file():
            return np.zeros(self.size, np.uint8)
        return read_palette_mask(path, size=self.size)

    def marked_mask(self, index: int) -> np.ndarray:
        """Return (H, W) uint8 ids of a marked frame as they were given."""
        return read_palette_mask(self._mark_path(index), size=self.size)

    def masked_frames(self) -> list[int]:
        """Return the frames that have a mask, in order."""
        return _frames_in(self.folder / "masks")

    def write_mask(self, index: int, mask: np.ndarray, confidence: Mapping[int, float]) -> None:
        """Write a mask that was propagated, and how sure each of its objects is, by id."""
        write_mask(self.mask_path(index), mask)
        self._note(index, confidence)

    def write_mark(self, index: int, mask: np.ndarray, erased: Ids) -> None:
        """Write a mask that a person gave; it is the mask of its frame too."""
        write_mask(self._mark_path(index), mask)
        _link(self.mask_path(index), self._mark_path(index))
        self.marks[index] = Mark(frozenset(object_ids(mask)), erased)
        self._note(index, {})

    def _note(self, index: int, objects: Mapping[int, float]) -> None:
        """Note how sure the objects of a frame are; those that a person spoke of are."""
        said = self.marks.get(index)
        if said is None:
            self.confidence[index] = FrameConfidence(frame_confidence(objects), objects)
        else:
            sure = dict.fromkeys(said.shown | said.erased, 1.0)
            self.confidence[index] = FrameConfidence(1.0, {**objects, **sure})

    def clear(self, index: int) -> None:
        """Remove the mask of a frame, and its mark."""
        self.mask_path(index).unlink(missing_ok=True)
        self._mark_path(index).unlink(missing_ok=True)
        self.marks.pop(index, None)
        self.confidence[index] = FrameConfidence()

    def remove_object(self, index: int, object_id: int) -> None:
        """Take an object out of a frame's mask, out of its mark and its confidence."""
        _erase(self.mask_path(index), object_id)
        if index in self.marks:
            _erase(self._mark_path(index), object_id)
            said, gone = self.marks[index], {object_id}
            self.marks[index] = Mark(said.shown - gone, said.erased - gone)
        if self.has_mask(index):
            objects = dict(self.confidence[index].objects)
            objects.pop(object_id, None)
            self._note(index, objects)

    def keep(self, index: int, folder: Path) -> FrameState:
        """Return what a frame is now; its files are linked into ``folder``."""
        mask, mark = folder / f"{index:05d}.png", folder / f"{index:05d}-mark.png"
        return FrameState(
            _kept(self.mask_path(index), mask),
            _kept(self._mark_path(index), mark),
            self.marks.get(index),
            self.confidence[index],
        )

    def restore(self, index: int, state: FrameState) -> None:
        """Make a frame what it was; the files of ``state`` are used up."""
        self.clear(index)
        for kept, path in (
            (state.mask, self.mask_path(index)),
            (state.mark, self._mark_path(index)),
        ):
            if kept is not None:
                kept.replace(path)
        if state.said is not None:
            self.marks[index] = state.said
        self.confidence[index] = state.confidence

    def _mark_path(self, index: int) -> Path:
        return self.folder / "marks" / f"{index:05d}.png"


def _frames_in(folder: Path) -> list[int]:
    """Return the frames whose files lie in a folder, in order; other files are none of ours."""
    stems = (path.stem for path in folder.glob("*.png"))
    return sorted(int(stem) for stem in stems if re.fullmatch("[0-9]{5,}", stem))


def _erase(path: Path, object_id: int) -> None:
    mask = read_palette_mask(path)
    if (mask == object_id).any():
        write_mask(path, np.where(mask == object_id, np.uint8(0), mask))


def _kept(path: Path, new: Path) -> Path | None:
    """Link a file to ``new``, where there is one to keep."""
    if not path.is_file():
        return None
    _link(new, path)
    return new


def _link(new: Path, old: Path) -> None:
    """Make ``new`` a second name of the file ``old``, or a copy where there are no links."""
    new.parent.mkdir(parents=True, exist_ok=True)
    temporary = new.with_name(f".{new.name}")
    with suppress(FileNotFoundError):
        temporary.unlink()
    try:
        os.link(old, temporary)
    except OSError:  # a file system without links
        shutil.copyfile(old, temporary)
    temporary.replace(new)
    temporary.unlink(missing_ok=True)  # POSIX keeps it where both are one file already
