"""`vos.Session`: annotate, propagate, correct, propagate on, with everything kept on disk."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vos.errors import UsageError, VosError, near_names
from vos.files import as_path
from vos.media import object_ids, open_video
from vos.propagation import PropagationConfig
from vos.propagation.frame_size import suited
from vos.segmentation.history import Change, History, Snapshot
from vos.segmentation.marks import Mask, check_frames, check_mask, frame_index
from vos.segmentation.mask_store import SAVED, Mark, MaskStore
from vos.segmentation.passes import NOBODY, Ids, Pass, plan_passes, walk
from vos.segmentation.propagate import as_config, make_extractor, passes_in
from vos.segmentation.segment import SegmentedFrame, segment
from vos.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    import torch

    from vos.backbones.adapt import Network
    from vos.backbones.inference import FeatureExtractor

SessionDirection = Literal["both", "forward", "backward"]


class Session:
    """The work on one video: marks, the masks propagated from them, corrections, undo.

    >>> session = vos.Session("clip.mp4")
    >>> session.annotate(0, first_mask)
    >>> for index, ids, mask in session.propagate():
    ...     ...
    >>> session.annotate(40, corrected)            # corrects, adds objects, takes objects away
    >>> for index, ids, mask in session.propagate("forward", start=40):
    ...     ...

    The same marks give the same masks as `vos.propagate`. Memory does not grow with the video:
    masks lie on disk, one file per frame.

    Args:
        video: what `vos.open_video` takes, but for what is read once only.
        model, preset, device, precision: as for `vos.propagate`; without a model, each
            `propagate` names its own.
        folder: where masks are kept: a new or empty folder, or one of a session that was saved,
            whose work goes on; a temporary one, removed by `close`, unless given.

    Raises:
        UsageError: the video is read once only, or ``folder`` holds something else, or work on
            a video of another size or length; an unknown model, preset, device or precision.
        MissingError, VosError: the video or what was saved is not there, or cannot be read.
    """

    def __init__(
        self,
        video: Any,
        *,
        model: str | Path | Network | FeatureExtractor | None = DEFAULT_MODEL,
        preset: str | PropagationConfig = "default",
        device: str | torch.device = "auto",
        precision: str = "auto",
        folder: str | Path | None = None,
    ) -> None:
        self.video = open_video(video)
        if not self.video.rereadable:
            raise UsageError(
                f"the video {self.video.name} is read once, forwards: a session needs its frames "
                "again; collect them in a list"
            )
        self.frame_count = self.video.count_frames()
        self._config = as_config(preset)
        self._make_extractor = partial(
            make_extractor, device=device, precision=precision, frame_count=self.frame_count
        )
        self._extractor = None if model is None else self._make_extractor(model)
        self.folder, undo, self._close = _own_folder(self, folder)
        self._store = MaskStore(self.folder, self.video.size, self.frame_count)
        if (self.folder / SAVED).is_file():
            self._store.load()
        self._history = History(undo)
        self._propagating = self._is_closed = False

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove a temporary folder with all masks; a folder that was given stays, to be read."""
        self._is_closed = True
        self._close()

    def save(self) -> None:
        """Write what is known of the masks beside them: the folder can be opened again.

        From then on every change is written, too.

        Raises:
            UsageError: the session is closed, and its masks went with it.
        """
        self._refuse_if_gone()
        self._store.save()

    def _save_again(self) -> None:
        if (self.folder / SAVED).is_file():
            self.save()

    # --- what is known -------------------------------------------------------------------------

    @property
    def marks(self) -> Mapping[int, Mark]:
        """What was said of the marked frames, by index."""
        return self._store.marks

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of all marked objects, sorted."""
        return tuple(sorted({i for mark in self.marks.values() for i in mark.shown}))

    @property
    def confidence(self) -> np.ndarray:
        """(T,) float32, 0 to 1: how sure each frame's masks are; 1 where marked, NaN where none."""
        return self._store.confidence.frames

    @property
    def object_confidence(self) -> Mapping[int, np.ndarray]:
        """By id, (T,) float32, 0 to 1: how sure an object is on each frame; NaN where not known.

        It is 1 on marked frames.
        """
        return self._store.confidence.objects

    def least_sure_object(self, index: int) -> int | None:
        """Return the id of the object that is least sure on a frame; None where none is known.

        Raises:
            UsageError: there is no such frame.
        """
        index = frame_index(index)
        check_frames([index], self.video)
        return self._store.confidence.least_sure(index)

    def mask(self, index: int) -> np.ndarray:
        """Return (H, W) uint8 ids of a frame, all background where nothing is known.

        Raises:
            UsageError: the session is closed, and its masks went with it.
        """
        self._refuse_if_gone()
        return self._store.mask(frame_index(index))

    def mask_path(self, index: int) -> Path:
        """Return the file of a frame's mask, a palette PNG; there is none where none is known."""
        return self._store.mask_path(frame_index(index))

    def has_mask(self, index: int) -> bool:
        """Return whether a frame has a mask, given or propagated."""
        return self._store.has_mask(frame_index(index))

    def masked_frames(self) -> list[int]:
        """Return the frames that have a mask, in order."""
        return self._store.masked_frames()

    # --- marks ---------------------------------------------------------------------------------

    def annotate(self, index: int, mask: Mask) -> None:
        """Say what frame ``index`` shows: a first mask, a correction, or another object.

        An object that the frame had and ``mask`` does not show was taken away: it is gone from
        there on. Others that it does not show are hidden at most.

        Args:
            mask: (H, W) ids, as `vos.propagate` takes them; all background takes everything away.

        Raises:
            UsageError: there is no such frame, or ``mask`` is no mask of its size.
        """
        self._refuse_unless_ready()
        given = check_mask(mask, index, self.video, known=self.ids)
        shown, before = set(object_ids(given)), set(object_ids(self.mask(index)))
        erased = self.marks[index].erased if index in self.marks else frozenset()
        self._history.begin(Change("mark", index)).keep(self._store, index)
        self._store.write_mark(index, given, frozenset((erased | (before - shown)) - shown))
        self._save_again()

    def import_masks(self, masks: Iterable[tuple[int, Mask]]) -> tuple[list[int], list[int]]:
        """Take in masks that were made elsewhere; one step for `undo`.

        Where more than half of the frames between the first and the last have one, they are results
        to be corrected, as if they had been propagated: marked are only frames on which an object
        shows for the first time. Otherwise each is a mark.

        Args:
            masks: pairs of a frame index and a mask, as `annotate` takes them.

        Returns:
            The frames that have masks by it, and those of them that are marked, in order.

        Raises:
            UsageError: no masks, or one as `annotate` refuses it; then nothing is taken in.
        """
        self._refuse_unless_ready()
        store, known = self._store, set(self.ids)
        snapshot = self._history.begin(Change("import"))
        shown: dict[int, Ids] = {}
        try:
            for pair in masks:
                index, mask = _pair(pair)
                given = check_mask(mask, index, self.video, known=known)
                snapshot.keep(store, index)
                shown[index] = frozenset(object_ids(given))
                store.write_mask(index, given, dict.fromkeys(shown[index], 1.0))
                known |= shown[index]
            if not any(shown.values()):
                raise UsageError("the masks show no object on any frame")
        except BaseException:
            self._history.undo(store)
            raise
        frames = sorted(shown)
        results = 2 * len(frames) > frames[-1] - frames[0] + 1
        marked = _first_shown(shown) if results else frames
        for index in marked:
            store.write_mark(index, store.mask(index), NOBODY)
        self._save_again()
        return frames, marked

    def clear(self, index: int) -> None:
        """Forget the mark and the mask of frame ``index``.

        Raises:
            UsageError: there is no such frame.
        """
        self._refuse_unless_ready()
        index = frame_index(index)
        check_frames([index], self.video)
        self._history.begin(Change("clear", index)).keep(self._store, index)
        self._store.clear(index)
        self._save_again()

    def remove_object(self, object_id: int) -> None:
        """Take an object out of every mask and mark."""
        self._refuse_unless_ready()
        sure = self.object_confidence.get(object_id, np.empty(0))
        looked_for = np.flatnonzero(~np.isnan(sure)).tolist()  # and maybe not found
        holding = [i for i in self.masked_frames() if (self.mask(i) == object_id).any()]
        snapshot = self._history.begin(Change("removal", object_id=object_id))
        for index in sorted({*holding, *looked_for, *self.marks}):
            snapshot.keep(self._store, index)
            self._store.remove_object(index, object_id)
        self._save_again()

    def undo(self) -> Change | None:
        """Take back the last mark, clearing, removal or propagation; return it, None if none."""
        self._refuse_unless_ready()
        change = self._history.undo(self._store)
        self._save_again()
        return change

    def redo(self) -> Change | None:
        """Do again what was undone last; return it, or None if there is nothing."""
        self._refuse_unless_ready()
        change = self._history.redo(self._store)
        self._save_again()
        return change

    @property
    def removed_ids(self) -> set[int]:
        """Ids of removed objects that undo would bring back: better given to no new object."""
        return self._history.removed_ids

    # --- propagation ---------------------------------------------------------------------------

    def plan(
        self,
        direction: SessionDirection = "both",
        *,
        start: int | None = None,
        first: int = 0,
        last: int | None = None,
    ) -> list[Pass]:
        """Return the passes that `propagate` would walk; their lengths add up to its frames.

        Raises:
            UsageError: as `propagate` raises it.
        """
        first = frame_index(first)
        end = self.frame_count - 1 if last is None else frame_index(last)
        check_frames([first, end], self.video)
        if direction not in ("both", "forward", "backward"):
            raise UsageError(
                f"no direction {direction!r}: "
                f"{near_names(direction, ('both', 'forward', 'backward'))}"
            )
        shown = {index: mark.shown for index, mark in self.marks.items()}
        erased = {index: mark.erased for index, mark in self.marks.items()}
        if start is None:
            passes = passes_in(direction, shown, erased=erased, first=first, last=end)
            if not passes:
                raise UsageError(_nothing_to_carry(shown, first, end))
            return passes
        if direction == "both":
            raise UsageError("start is for one direction: forward or backward")
        check_frames([frame_index(start)], self.video)
        if not first <= start <= end:
            raise UsageError(f"frame {start} lies outside the frames {first} to {end}")
        shown[start] = frozenset(object_ids(self.mask(start)))
        if not shown[start]:
            raise UsageError(f"frame {start} shows no object to start from: annotate it first")
        backwards = direction == "backward"
        begin, stop = (first, start) if backwards else (start, end)
        return plan_passes(shown, begin, stop, erased=erased, backwards=backwards, lead_in=False)

    def propagate(
        self,
        direction: SessionDirection = "both",
        *,
        start: int | None = None,
        first: int = 0,
        last: int | None = None,
        model: str | Path | Network | FeatureExtractor | None = None,
        preset: str | PropagationConfig | None = None,
        engine: str = "auto",
    ) -> Generator[SegmentedFrame, None, None]:
        """Carry the marks through the video; masks are kept as they come, each frame once.

        Args:
            direction: ``both`` all frames; ``forward`` those from the first mark on, or from
                ``start`` on; ``backward`` those before the first mark, or before ``start``. Other
                frames keep their masks.
            start: a frame with a mask, marked or propagated, to go on from.
            first, last: the part of the video to work on, the whole unless given.
            model, preset: those of the session unless given.

        Raises:
            UsageError: no mark in that part shows an object, or frame ``start`` does not; a frame
                that is not there; an unknown direction; the session was closed meanwhile.
            VosError: the video cannot be read; masks so far are kept.
        """
        self._refuse_unless_ready()
        passes = self.plan(direction, start=start, first=first, last=last)
        extractor = self._extractor if model is None else self._make_extractor(model)
        if extractor is None:
            raise UsageError("the session was opened without a model: name one to propagate with")
        config = self.suited(self._config if preset is None else preset, extractor.stride)
        carry = partial(segment, extractor=extractor, config=config, engine=engine)
        return self._propagate(passes, carry, start)

    def suited(self, preset: str | PropagationConfig, stride: int) -> PropagationConfig:
        """Return the protocol for the objects that are marked: the finer one where one is small.

        Args:
            stride: pixels per token.

        Raises:
            UsageError: there is no such preset.
        """
        first_shown = _first_shown({index: mark.shown for index, mark in self.marks.items()})
        return suited(as_config(preset), map(self._store.marked_mask, first_shown), stride)

    def _propagate(
        self, passes: list[Pass], carry: Callable[..., Iterator[SegmentedFrame]], start: int | None
    ) -> Generator[SegmentedFrame, None, None]:
        store = self._store
        confidence: dict[int, Mapping[int, float]] = {}

        def given(index: int) -> np.ndarray:
            return store.mask(index) if index == start else store.marked_mask(index)

        def observe(index: int, objects: Mapping[int, float]) -> None:
            confidence[index] = objects

        erased = {index: mark.erased for index, mark in self.marks.items()}
        change = Change("propagation", passes[0].start)
        snapshot: Snapshot | None = None
        self._refuse_unless_ready()
        self._propagating = True
        try:
            carried = partial(carry, observe=observe)
            for frame in walk(self.video, given, passes, carried, erased=erased):
                index = frame.index
                found = confidence.pop(index, {})
                if index != start:  # which has its mask
                    snapshot = snapshot or self._history.begin(change)
                    snapshot.keep(store, index)
                    store.write_mask(index, frame.mask, found)
                yield frame
                if self._is_closed:
                    raise UsageError("the session is closed: open a new one")
        finally:
            self._propagating = False
            self._save_again()

    def _refuse_if_gone(self) -> None:
        if self._is_closed and not self.folder.is_dir():
            raise UsageError("the session is closed; masks stay where it is given a folder")

    def _refuse_unless_ready(self) -> None:
        if self._is_closed:
            raise UsageError("the session is closed: open a new one")
        if self._propagating:
            raise UsageError("a propagation is under way: finish or close it first")


def _pair(given: object) -> tuple[int, Mask]:
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != 2:
        raise UsageError(f"{given!r} is no pair of a frame index and a mask: give [(0, mask), ...]")
    return given[0], given[1]


def _nothing_to_carry(shown: Mapping[int, Ids], first: int, last: int) -> str:
    if not any(shown.values()):
        return "no frame shows an object: annotate one first"
    return (
        f"no marked frame from {first} to {last} shows an object: annotate one of them, or give "
        "start, a frame that has a mask, and a direction"
    )


def _first_shown(shown: Mapping[int, Ids]) -> list[int]:
    """Return the frames on which an object shows that none before shows."""
    seen: set[int] = set()
    first = []
    for index in sorted(shown):
        if not shown[index] <= seen:
            first.append(index)
            seen |= shown[index]
    return first


def _own_folder(
    session: Session, folder: str | Path | None
) -> tuple[Path, Path, Callable[[], object]]:
    """Return the folder of a session, that of its undo, and what is to be done in the end."""
    if folder is None:
        own = Path(tempfile.mkdtemp(prefix="vos-session-"))
        return own, own / "undo", weakref.finalize(session, shutil.rmtree, own, ignore_errors=True)
    given = as_path(folder, "the folder of a session")
    try:
        saved = (given / SAVED).is_file()
        if given.exists() and not saved and (not given.is_dir() or any(given.iterdir())):
            raise UsageError(f"{given} is not empty: give a new folder for the masks of a session")
        given.mkdir(parents=True, exist_ok=True)
        undo = Path(tempfile.mkdtemp(prefix=".undo-", dir=given))
    except OSError as error:
        raise VosError(f"cannot write {given}: {error.strerror or error}") from error
    return given, undo, partial(shutil.rmtree, undo, ignore_errors=True)
