"""What a person changed, to be taken back, the last change first. Old masks are kept on disk."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vos.demo.objects import DemoObject
from vos.media import read_palette_mask, write_mask

if TYPE_CHECKING:
    from vos.demo.session import Session

UNDO_STEPS = 50


@dataclass(frozen=True)
class MarkChanged:
    """A frame before a change: its mask (None: it had none), what was said of it, its certainty."""

    index: int
    mask: Path | None
    erased: frozenset[int] | None
    confidence: float

    def take_back(self, session: Session) -> str:
        clip, path = session.clip, session.mask_path(self.index)
        if self.mask is None:
            path.unlink(missing_ok=True)
        else:
            self.mask.replace(path)
        clip.confidence[self.index] = self.confidence
        if self.erased is None:
            clip.annotated.pop(self.index, None)
        else:
            clip.annotated[self.index] = self.erased
        session.position = self.index
        return f"Undone on frame {self.index}."


@dataclass(frozen=True)
class ObjectRemoved:
    """An object before it was removed, and a folder with the masks it was in."""

    item: DemoObject
    folder: Path

    def take_back(self, session: Session) -> str:
        """Where it was, the object is put on the background again: later changes stay."""
        object_id = self.item.id
        session.objects.restore(self.item)
        for old in self.folder.iterdir():
            index = int(old.stem)
            mask = session.mask(index)
            back = (read_palette_mask(old, size=mask.shape) == object_id) & (mask == 0)
            if back.any():
                write_mask(session.mask_path(index), np.where(back, np.uint8(object_id), mask))
        session.active = object_id
        return f"{self.item.name} is back."


class History:
    """Changes of a session. Its folder holds the old masks: links, which cost no room at first.

    A mask is never written in place, so a link keeps what a frame was.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._steps: list[MarkChanged | ObjectRemoved] = []
        self._count = 0

    def mark_changes(self, session: Session, index: int) -> None:
        """Remember a frame that is about to be changed."""
        kept: Path | None = None
        if session.has_mask(index):
            kept = self._new_folder() / f"{index:05d}.png"
            _link(kept, session.mask_path(index))
        clip = session.clip
        self._add(
            MarkChanged(index, kept, clip.annotated.get(index), float(clip.confidence[index]))
        )

    def object_goes(self, session: Session, item: DemoObject, frames: Collection[int]) -> None:
        """Remember an object that is about to be removed, and the frames it is in."""
        folder = self._new_folder()
        for index in frames:
            _link(folder / f"{index:05d}.png", session.mask_path(index))
        self._add(ObjectRemoved(item, folder))

    def undo(self, session: Session) -> str | None:
        """Take back the last change; what was taken back, in words, or None if there is none."""
        if not self._steps:
            return None
        step = self._steps.pop()
        words = step.take_back(session)
        _forget(step)
        return words

    @property
    def removed_ids(self) -> set[int]:
        """Ids of removed objects that may come back: new objects take others."""
        return {step.item.id for step in self._steps if isinstance(step, ObjectRemoved)}

    def clear(self) -> None:
        """Forget everything."""
        self._steps.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _add(self, step: MarkChanged | ObjectRemoved) -> None:
        self._steps.append(step)
        while len(self._steps) > UNDO_STEPS:
            _forget(self._steps.pop(0))

    def _new_folder(self) -> Path:
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir(parents=True)
        return folder


def _forget(step: MarkChanged | ObjectRemoved) -> None:
    if isinstance(step, ObjectRemoved):
        shutil.rmtree(step.folder, ignore_errors=True)
    elif step.mask is not None:
        shutil.rmtree(step.mask.parent, ignore_errors=True)


def _link(new: Path, old: Path) -> None:
    try:
        new.hardlink_to(old)
    except OSError:  # a file system without links
        shutil.copyfile(old, new)
