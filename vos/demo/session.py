"""The state of one visitor around a `vos.Session`: the video, the objects, what is in view."""

from __future__ import annotations

import itertools
import shutil
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vos.demo.limits import Limits
from vos.demo.objects import DemoObject, ObjectList
from vos.demo.pointing import Pointing
from vos.demo.project import unpack_project
from vos.errors import MissingError, UsageError, VosError
from vos.media import Video, object_ids, open_video, read_image
from vos.media.frame_reader import FrameReader
from vos.segmentation import Session as MaskSession
from vos.segmentation.given_masks import MaskFile, read_masks
from vos.segmentation.history import Change
from vos.segmentation.interactive import InteractiveFrame
from vos.segmentation.mask_store import Mark
from vos.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    from vos.backbones.inference import FeatureExtractor

Direction = Literal["whole", "onwards", "back"]
_FRAMES_READY = 3  # one of 1920 x 1080 takes some 40 MB
_LAST_FRAME_SECONDS = 20.0  # a run that is told to stop ends its frame first


@dataclass
class Clip:
    """The video of a visitor, and the masks of it.

    Attributes:
        work: marks and masks.
        frames, played: its frames, for looking at them one by one, and for playing.
        times: (T,) seconds at which each frame is shown, the first at 0.
        trim: first and last frame to work on.
    """

    work: MaskSession
    name: str
    frames: FrameReader
    played: FrameReader
    times: np.ndarray
    trim: tuple[int, int]

    @property
    def video(self) -> Video:
        return self.work.video

    @property
    def frame_count(self) -> int:
        return self.work.frame_count

    @property
    def size(self) -> tuple[int, int]:
        return self.video.size

    @property
    def seconds(self) -> float:
        return float(self.times[-1]) + 1 / self.video.fps

    @property
    def marks(self) -> Mapping[int, Mark]:
        """Frames whose mask a person gave, and what it says."""
        return self.work.marks

    def close_files(self) -> None:
        """Close the video; it is opened again where frames are asked for."""
        self.frames.close()
        self.played.close()

    @property
    def confidence(self) -> np.ndarray:
        """(T,) float32, NaN where nothing was propagated."""
        return self.work.confidence


class Session:
    """One visitor's work, below a folder of its own that `close` removes."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder = folder
        self.limits = limits
        self.objects = ObjectList()
        self.active: int | None = None
        self.position = 0
        self.opacity = 0.5
        self.background: Path | None = None  # a picture to put behind the objects
        self.model, self.device = DEFAULT_MODEL, "auto"
        self.answered = 0  # the last of what the canvas sent
        self.views = itertools.count(1)  # numbers what the canvas is told
        self._pointing: Pointing | None = None
        self._ready: dict[tuple[int, str], InteractiveFrame] = {}  # frames that were clicked on
        self.stop = threading.Event()
        self._idle = threading.Event()  # no run waits or works
        self._idle.set()
        self.touched = time.monotonic()
        self.closed_at: float | None = None
        self._clip: Clip | None = None
        self._removed: dict[int, DemoObject] = {}  # objects that undo may bring back
        self._uploads: list[Path] = []
        self._pictures: list[Path] = []
        folder.mkdir(parents=True)

    @property
    def busy(self) -> bool:
        """Whether a run of this session waits or works."""
        return not self._idle.is_set()

    @busy.setter
    def busy(self, value: bool) -> None:
        (self._idle.clear if value else self._idle.set)()

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
        self.discard()
        self._begin(MaskSession(video, model=None, folder=self.folder / "work"), name or video.name)
        self.add_object()
        return self.clip

    def open_project(self, archive: Path) -> Clip:
        """Go on with work that was saved; what was there is removed once it has been read.

        Raises:
            VosError: not a project, or more than the limits allow.
        """
        place = self.folder / f"project-{time.monotonic_ns()}"
        try:
            project = unpack_project(archive, place, self.limits)
            video = open_video(project.video)
            self.limits.check_video(video)
            work = MaskSession(video, model=None, folder=project.work)
        except VosError as error:
            shutil.rmtree(place, ignore_errors=True)
            raise type(error)(str(error).replace(f"{place}/", "")) from error
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        self.discard(keep=place)
        self._begin(work, project.name)
        last = work.frame_count - 1
        first, end = (min(max(0, frame), last) for frame in project.trim)
        self.clip.trim = (min(first, end), max(first, end))
        self.objects = project.objects
        for index in work.masked_frames():
            for object_id in object_ids(work.mask(index)):
                self.objects.add(object_id)
        self.active = next((item.id for item in self.objects), None)
        self.position = min(work.marks, default=0)
        return self.clip

    def _begin(self, work: MaskSession, name: str) -> None:
        video, count = work.video, work.frame_count
        self._clip = Clip(
            work,
            _plain(name),
            FrameReader(video),
            FrameReader(video),
            video.frame_times(),
            (0, count - 1),
        )

    def adopt(self, upload: Path) -> Path:
        """Take an uploaded file into this session's folder, and see to its end.

        The upload itself stays until the session is done with it: the browser may be fetching it.
        """
        new = self.link(upload)
        self._uploads.append(upload)
        return new

    def link(self, upload: Path) -> Path:
        """Give an uploaded file a name in this session's folder, in the place of the last one.

        Raises:
            MissingError: the upload was removed, as one that nobody used.
        """
        home = self.folder / "upload"
        home.mkdir(exist_ok=True)
        new = home / f"{time.monotonic_ns()}{upload.suffix.lower()[:8]}"
        try:
            _link(new, upload)
        except FileNotFoundError as error:
            raise MissingError(f"{upload.name} is no longer here: upload it again") from error
        for old in home.iterdir():
            if old != new and (self._clip is None or old != self._clip.video.path):
                old.unlink(missing_ok=True)
        return new

    def opened_from(self, upload: Path) -> bool:
        """Return whether the opened video is this upload."""
        return self.has_clip and bool(self._uploads) and self._uploads[-1] == upload

    def adopt_background(self, upload: Path) -> None:
        """Put an uploaded picture behind the objects, and see to its end; raises as below."""
        self.link_background(upload)
        self._pictures.append(upload)

    def link_background(self, upload: Path) -> None:
        """Give an uploaded picture a name in this session's folder, in the place of the last one.

        Raises:
            VosError: it is none, or one that is too large.
        """
        self.limits.check_picture(upload)
        read_image(upload)
        new = self.folder / f"background-{time.monotonic_ns()}{upload.suffix.lower()[:8]}"
        _link(new, upload)
        self._forget_background()
        self.background = new

    def _forget_background(self) -> None:
        if self.background is not None:
            self.background.unlink(missing_ok=True)
        self.background = None
        while self._pictures:
            remove_unused(self._pictures.pop())

    def discard(self, *, keep: Path | None = None) -> None:
        """Forget the video and all masks; ``keep`` is the folder of a project to come."""
        if self._clip is not None:
            self._clip.close_files()
            self._clip.work.close()
            if self._clip.video.path.parent == self.folder / "upload":
                self._clip.video.path.unlink(missing_ok=True)
        while len(self._uploads) > 1:  # the last one may be the video to come
            remove_unused(self._uploads.pop(0))
        self._clip = None
        self.objects = ObjectList()
        self.active = None
        self.position = 0
        self._pointing = None
        self._ready.clear()
        self._removed.clear()
        self._forget_background()
        for place in (self.folder / "work", self.folder / "out", *self.folder.glob("project-*")):
            if place != keep:
                shutil.rmtree(place, ignore_errors=True)

    def close(self) -> None:
        """Stop what runs, and remove every file."""
        self.stop.set()
        self._idle.wait(_LAST_FRAME_SECONDS)
        if self._clip is not None:
            self._clip.close_files()
        shutil.rmtree(self.folder, ignore_errors=True)
        for upload in (*self._uploads, *self._pictures):
            remove_unused(upload)

    # --- masks ---------------------------------------------------------------------------------

    def mask(self, index: int) -> np.ndarray:
        """Return (H, W) uint8 ids of a frame, all background where nothing is known."""
        return self.clip.work.mask(index)

    def has_mask(self, index: int) -> bool:
        """Return whether a frame has a mask, given or propagated."""
        return self.clip.work.has_mask(index)

    def masked_frames(self) -> list[int]:
        """Return the frames that have a mask, in order."""
        return [] if self._clip is None else self._clip.work.masked_frames()

    def annotate(self, index: int, mask: np.ndarray) -> None:
        """Say what frame ``index`` shows. Undo takes it back.

        Objects that are new get an entry.

        Raises:
            VosError: no such frame, or a mask of another size.
        """
        if not 0 <= index < self.clip.frame_count:
            raise VosError(f"there is no frame {index}")
        self.clip.work.annotate(index, mask)
        for object_id in object_ids(mask):
            self.objects.add(object_id)

    def import_masks(self, files: list[Path]) -> tuple[int, int]:
        """Take in masks of frames, whose names or numbers say which; undo takes them back.

        Returns:
            How many masks there were, and how many of them are marks.

        Raises:
            VosError: a file of another size, of no frame, or that cannot be read.
        """
        work = self.clip.work
        masks = read_masks([MaskFile(file) for file in files], work.video)
        frames, marked = work.import_masks((each.index, each.mask) for each in masks)
        for object_id in work.ids:
            self.objects.add(object_id)
        self.position = frames[0]
        return len(frames), len(marked)

    def forget_annotation(self, index: int) -> None:
        """Take back what was marked on a frame, its mask included."""
        self.clip.work.clear(index)

    def extent(self, direction: Direction) -> dict[str, Any]:
        """Return what `vos.Session.propagate` is told to go that way from the current frame.

        Raises:
            UsageError: nothing is marked, or not on the frame to start from.
        """
        (first, last), frame = self.clip.trim, self.position
        if direction == "whole":
            if not any(self.clip.marks[i].shown for i in self.clip.marks if first <= i <= last):
                raise UsageError("Mark an object on a frame first: paint it, or click on it")
            return {"direction": "both", "first": first, "last": last}
        if not first <= frame <= last:
            raise UsageError(f"Frame {frame} lies outside the trimmed part, {first} to {last}")
        if not object_ids(self.mask(frame)):
            raise UsageError(f"Frame {frame} shows no object to start from: paint one first")
        way = "forward" if direction == "onwards" else "backward"
        return {"direction": way, "start": frame, "first": first, "last": last}

    # --- clicks --------------------------------------------------------------------------------

    def pointing_at(self, index: int) -> Pointing:
        """Return what was pointed at of the chosen object of a frame; it starts with its mask."""
        item = self.objects[self.active] if self.active is not None else self.add_object()
        known = self.pointed_at(index)
        self._pointing = known or Pointing(index, item.id, self.mask(index))
        return self._pointing

    def pointed_at(self, index: int) -> Pointing | None:
        """Return what was pointed at of the chosen object of a frame, where that made its mask."""
        pointing = self._pointing
        if pointing is None or (pointing.index, pointing.object_id) != (index, self.active):
            return None
        return pointing if pointing.keep_to(self.mask(index)) else None

    def ready(self, index: int, model: str, extractor: FeatureExtractor) -> InteractiveFrame:
        """Return a frame made ready for clicks."""
        key = (index, model)
        known = self._ready.pop(key, None)
        if known is None:
            known = InteractiveFrame(self.clip.frames[index], extractor)
        self._ready[key] = known
        while len(self._ready) > _FRAMES_READY:
            self._ready.pop(next(iter(self._ready)))
        return known

    # --- objects -------------------------------------------------------------------------------

    def add_object(self) -> DemoObject:
        """Add an object, which becomes the chosen one."""
        item = self.objects.add(avoid=self.clip.work.removed_ids)
        self.active = item.id
        return item

    def remove_object(self, object_id: int) -> DemoObject:
        """Take an object off the list and out of every mask; undo brings it back."""
        self.clip.work.remove_object(object_id)
        return self._take_off_list(object_id)

    def _take_off_list(self, object_id: int) -> DemoObject:
        item = self._removed[object_id] = self.objects[object_id]
        self.objects.remove(object_id)
        if self.active == object_id:
            self.active = next((item.id for item in self.objects), None)
        return item

    def _put_back_on_list(self, object_id: int) -> DemoObject:
        item = self._removed.pop(object_id)
        self.objects.restore(item)
        self.active = item.id
        return item

    # --- what was done -------------------------------------------------------------------------

    def undo(self) -> str | None:
        """Take back the last mark, removal or propagation, and go there; say what it was.

        Returns:
            None where there is nothing to undo.
        """
        change = None if self._clip is None else self._clip.work.undo()
        if change is None:
            return None
        if change.object_id is not None:
            return f"{self._put_back_on_list(change.object_id).name} is back."
        if change.kind == "propagation":
            return "The propagation is undone: masks are what they were before it."
        if change.kind == "import":
            return "The masks that were taken in are gone again."
        self._go_to(change)
        return f"Undone on frame {change.frame}."

    def redo(self) -> str | None:
        """Do again what was undone last, and go there; say what it was.

        Returns:
            None where there is nothing to do again.
        """
        change = None if self._clip is None else self._clip.work.redo()
        if change is None:
            return None
        if change.object_id is not None:
            return f"{self._take_off_list(change.object_id).name} is removed again."
        if change.kind == "propagation":
            return "The propagation is done again: its masks are back."
        if change.kind == "import":
            return "The masks that were taken in are back."
        self._go_to(change)
        return f"Done again on frame {change.frame}."

    def _go_to(self, change: Change) -> None:
        if change.frame is not None:
            self.position = change.frame


def _link(new: Path, upload: Path) -> None:
    try:
        new.hardlink_to(upload)
    except FileNotFoundError:
        raise
    except OSError:  # another disk
        shutil.copyfile(upload, new)


def remove_unused(upload: Path) -> None:
    """Remove an upload unless another session holds a link to it.

    Uploads are named by what they contain: visitors who upload the same file share one.
    """
    with suppress(FileNotFoundError):
        if upload.stat().st_nlink == 1:
            upload.unlink()


def _plain(name: str) -> str:
    """Return a name that is safe as a folder and file name everywhere."""
    kept = "".join(c if c.isalnum() or c in "-_" else "-" for c in name)[:60].strip("-")
    return kept or "video"
