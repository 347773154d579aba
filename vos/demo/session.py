"""The work of one visitor: a video, objects, masks. Masks lie on disk, one file a frame."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vos.defaults import DEFAULT_MODEL
from vos.demo.frames import FrameReader
from vos.demo.history import History
from vos.demo.limits import Limits
from vos.demo.objects import DemoObject, ObjectList
from vos.errors import UsageError, VosError
from vos.media import Video, object_ids, open_video, read_palette_mask, write_mask

if TYPE_CHECKING:
    from vos.demo.run import Run

_LAST_FRAME_SECONDS = 20.0  # a run that is told to stop ends its frame first


@dataclass
class Clip:
    """The video of a session, and all that was found out about it.

    Attributes:
        times: (T,) seconds at which each frame is shown, the first at 0.
        annotated: frames whose mask a person gave, and the ids they took away there: those
            objects are gone from there on, while others that do not show are merely hidden.
        confidence: (T,) float32, NaN where nothing was propagated.
        trim: first and last frame to work on.
    """

    video: Video
    name: str
    frame_count: int
    frames: FrameReader
    times: np.ndarray
    trim: tuple[int, int]
    confidence: np.ndarray
    annotated: dict[int, frozenset[int]] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        return self.video.size

    @property
    def seconds(self) -> float:
        return float(self.times[-1]) + 1 / self.video.fps


class Session:
    """One visitor's work, below a folder of its own that `close` removes."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder = folder
        self.limits = limits
        self.objects = ObjectList()
        self.active: int | None = None
        self.position = 0
        self.tool = "Look"
        self.opacity = 0.5
        self.model, self.device = DEFAULT_MODEL, "auto"
        self.corner: tuple[int, int] | None = None  # first corner of a box, (x, y)
        self.editing: int | None = None  # the frame that lies in the editor
        self.edition = 0  # counts what the editor was given
        self.views = 0
        self.stop = threading.Event()
        self.busy = False  # a run waits or works
        self.run: Run | None = None  # the last one, until a page has told how it ended
        self.touched = time.monotonic()
        self.closed_at: float | None = None
        self._clip: Clip | None = None
        self._history = History(folder / "undo")
        self._uploads: list[Path] = []
        folder.mkdir(parents=True)

    # --- video ---------------------------------------------------------------------------------

    @property
    def clip(self) -> Clip:
        """The opened video.

        Raises:
            UsageError: there is none yet.
        """
        if self._clip is None:
            raise UsageError("Open a video first")
        return self._clip

    @property
    def has_clip(self) -> bool:
        return self._clip is not None

    def open(self, path: Path, *, name: str | None = None) -> Clip:
        """Start anew with a video; the old work is removed once the new video has been read.

        Raises:
            VosError: not a video, or more than the limits allow.
        """
        if path.is_file():
            self.limits.check_file(path)
        video = open_video(path)
        self.limits.check_video(video)
        count = video.count_frames()
        self.discard()
        self._clip = Clip(
            video=video,
            name=_plain(name or video.name),
            frame_count=count,
            frames=FrameReader(video),
            times=video.frame_times(),
            trim=(0, count - 1),
            confidence=np.full(count, np.nan, np.float32),
        )
        self.add_object()
        return self._clip

    def adopt(self, upload: Path) -> Path:
        """Take an uploaded file into this session's folder, under a name of ours.

        The upload itself stays until the session is done with it: the browser may be fetching it.
        """
        home = self.folder / "upload"
        home.mkdir(exist_ok=True)
        new = home / f"{time.monotonic_ns()}{upload.suffix.lower()[:8]}"
        try:
            new.hardlink_to(upload)
        except OSError:  # another disk
            shutil.copyfile(upload, new)
        self._uploads.append(upload)
        for old in home.iterdir():
            if old != new and (self._clip is None or old != self._clip.video.path):
                old.unlink(missing_ok=True)
        return new

    def opened_from(self, upload: Path) -> bool:
        """Whether the opened video is this upload."""
        return self.has_clip and bool(self._uploads) and self._uploads[-1] == upload

    def discard(self) -> None:
        """Forget the video and all masks."""
        while len(self._uploads) > 1:  # the last one may be the video to come
            self._uploads.pop(0).unlink(missing_ok=True)
        if self._clip is not None:
            self._clip.frames.close()
            if self.folder in self._clip.video.path.parents:
                self._clip.video.path.unlink(missing_ok=True)
        self._clip = None
        self.objects = ObjectList()
        self.active = None
        self.position = 0
        self.tool = "Look"
        self.corner = self.editing = self.run = None
        self._history.clear()
        for name in ("masks", "views", "out"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def close(self) -> None:
        """Stop what runs, and remove every file."""
        self.stop.set()
        if self.run is not None:
            self.run.finished.wait(_LAST_FRAME_SECONDS)
        if self._clip is not None:
            self._clip.frames.close()
        for upload in self._uploads:
            upload.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- masks ---------------------------------------------------------------------------------

    def mask_path(self, index: int) -> Path:
        return self.folder / "masks" / f"{index:05d}.png"

    def has_mask(self, index: int) -> bool:
        return self.mask_path(index).is_file()

    def mask(self, index: int) -> np.ndarray:
        """(H, W) uint8 ids of a frame, all background where nothing is known."""
        path = self.mask_path(index)
        if not path.is_file():
            return np.zeros(self.clip.size, np.uint8)
        return read_palette_mask(path, size=self.clip.size)

    def masked_frames(self) -> list[int]:
        """Frames that have a mask, in order."""
        return sorted(int(path.stem) for path in (self.folder / "masks").glob("[0-9]*.png"))

    def annotate(self, index: int, mask: np.ndarray) -> None:
        """Say what frame ``index`` shows. Undo takes it back.

        Objects that are new get an entry.

        Raises:
            VosError: no such frame, or a mask of another size.
        """
        clip = self.clip
        if not 0 <= index < clip.frame_count:
            raise VosError(f"there is no frame {index}")
        if mask.shape != clip.size:
            raise VosError(
                f"The mask has {mask.shape[1]} x {mask.shape[0]} pixels, "
                f"the video {clip.size[1]} x {clip.size[0]}: give one of that size"
            )
        before = set(object_ids(self.mask(index)))
        now = set(object_ids(mask))
        erased = (clip.annotated.get(index, frozenset()) | (before - now)) - now
        self._history.mark_changes(self, index)
        for object_id in sorted(now):
            self.objects.add(object_id)
        write_mask(self.mask_path(index), mask)
        clip.annotated[index] = frozenset(erased)
        clip.confidence[index] = 1.0

    def add_object(self) -> DemoObject:
        """A new object, which becomes the chosen one."""
        item = self.objects.add(avoid=self._history.removed_ids)
        self.active = item.id
        return item

    def remove_object(self, object_id: int) -> DemoObject:
        """Take an object off the list and out of every mask; undo brings it back."""
        item = self.objects[object_id]
        shown = [i for i in self.masked_frames() if (self.mask(i) == object_id).any()]
        self._history.object_goes(self, item, shown)
        for index in shown:
            mask = self.mask(index)
            write_mask(self.mask_path(index), np.where(mask == object_id, np.uint8(0), mask))
        self.objects.remove(object_id)
        if self.active == object_id:
            self.active = next((item.id for item in self.objects), None)
        return item

    def forget_annotation(self, index: int) -> None:
        """Take back what was marked on a frame, its mask included."""
        self._history.mark_changes(self, index)
        self.mask_path(index).unlink(missing_ok=True)
        self.clip.annotated.pop(index, None)
        self.clip.confidence[index] = np.nan

    def undo(self) -> str | None:
        """Take back the last mark or removal, and go there; what it was, or None."""
        return self._history.undo(self)


def _plain(name: str) -> str:
    """A name that is safe as a folder and file name everywhere."""
    kept = "".join(c if c.isalnum() or c in "-_" else "-" for c in name)[:60].strip("-")
    return kept or "video"
