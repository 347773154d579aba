"""What was done to the masks of a video, to be taken back and done again, the last thing first."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vos.segmentation.mask_store import FrameState, MaskStore

STEPS = 50


@dataclass(frozen=True)
class Change:
    """One thing that was done.

    Attributes:
        kind: a frame was marked, or cleared; an object was removed; masks were propagated, or
            taken in from files.
        frame: the frame it was done on, of a mark, a clearing or a propagation from there.
        object_id: the object removed.
    """

    kind: Literal["mark", "clear", "removal", "propagation", "import"]
    frame: int | None = None
    object_id: int | None = None


@dataclass
class Snapshot:
    """The frames that a change touched, as they were before it (or after it, to do it again)."""

    change: Change
    folder: Path
    frames: dict[int, FrameState] = field(default_factory=dict)

    def keep(self, store: MaskStore, index: int) -> None:
        """Remember a frame that is about to change; the first time counts."""
        if index not in self.frames:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.frames[index] = store.keep(index, self.folder)


class History:
    """Changes that can be taken back, the last `STEPS`, and those taken back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._done: list[Snapshot] = []
        self._undone: list[Snapshot] = []
        self._count = 0

    def begin(self, change: Change) -> Snapshot:
        """Return a snapshot for the frames that ``change`` is about to touch."""
        snapshot = self._new(change)
        self._done.append(snapshot)
        for old in [*self._undone, *self._done[:-STEPS]]:
            shutil.rmtree(old.folder, ignore_errors=True)
        self._undone.clear()
        self._done = self._done[-STEPS:]
        return snapshot

    def undo(self, store: MaskStore) -> Change | None:
        """Take back the last change; return it, or None if there is none."""
        return self._swap(store, self._done, self._undone)

    def redo(self, store: MaskStore) -> Change | None:
        """Do again what was taken back last; return it, or None if there is nothing."""
        return self._swap(store, self._undone, self._done)

    @property
    def removed_ids(self) -> set[int]:
        """Ids of removed objects that may come back."""
        return {step.change.object_id for step in self._done if step.change.object_id is not None}

    def _swap(
        self, store: MaskStore, source: list[Snapshot], target: list[Snapshot]
    ) -> Change | None:
        if not source:
            return None
        old = source.pop()
        now = self._new(old.change)
        for index, state in old.frames.items():
            now.keep(store, index)
            store.restore(index, state)
        shutil.rmtree(old.folder, ignore_errors=True)
        target.append(now)
        return old.change

    def _new(self, change: Change) -> Snapshot:
        self._count += 1
        return Snapshot(change, self._folder / str(self._count))
