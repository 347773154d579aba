"""Which passes carry which marks: one rule for `vos.propagate`, `vos.Session`, commands and page.

A mark is a mask that a person gave for a frame. It speaks for the objects it shows. Objects are
known from their first mark on, in the direction of the walk, until a mark takes them away.

- Between two marks both count: each frame is reached from the nearer one, with the other in the
  context. Where the mark ahead does not show every object known by then, the walk goes all the way
  to it instead, and what it finds there of the others completes that mark.
- Behind the last mark the walk goes on to the end; before the first one it goes back to the start,
  with the objects of that mark.
- The nearest marks on both sides of a pass, up to `ANCHORS`, stay in its context.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise
from typing import TYPE_CHECKING

import numpy as np

from vos.media import Video
from vos.segmentation.segment import IndexedFrame, SegmentedFrame, as_annotated

if TYPE_CHECKING:
    from torch import Tensor

ANCHORS = 6
END = sys.maxsize // 2  # the last frame of a video that nobody has counted
FRAMES_TURNED_AT_ONCE = 16  # frames decoded forwards and handed out backwards

Ids = frozenset[int]
NOBODY: Ids = frozenset()


@dataclass(frozen=True)
class Pass:
    """A walk from a marked frame on, forwards or backwards.

    Attributes:
        start: the marked frame that it starts at.
        frames: the frames it gives masks for, in its order; ``start`` is the first or comes before
            the first.
        objects: the ids it carries; without any, its masks are blank.
        anchors: other marked frames in its context, the nearest one last.
        arrives: the marked frame it ends at to complete that mark, if any.
    """

    start: int
    frames: range
    objects: Ids
    anchors: tuple[int, ...] = ()
    arrives: int | None = None

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def last(self) -> int:
        """The last frame that is walked to."""
        if self.arrives is not None:
            return self.arrives
        return self.frames[-1] if self.frames else self.start


def plan_passes(
    shown: Mapping[int, Ids],
    first: int,
    last: int,
    *,
    erased: Mapping[int, Ids] | None = None,
    backwards: bool = False,
    lead_in: bool = True,
) -> list[Pass]:
    """Return the passes that give masks to frames ``first`` to ``last`` (included).

    Args:
        shown: the ids on each marked frame; marks outside the range are context only.
        erased: the ids taken away on a marked frame: they are gone from there on.
        backwards: walk from ``last`` to ``first``: objects are known from their last mark on.
        lead_in: whether the frames that the walk has behind it when it meets its first mark are
            wanted too.

    Returns:
        Each frame is in one pass; none where no mark of the range shows an object.
    """
    step, begin, end = (-1, last, first) if backwards else (1, first, last)
    gone = erased or {}
    order = sorted((i for i in shown if first <= i <= last), reverse=backwards)
    while order and not shown[order[0]]:
        order.pop(0)
    if not order:
        return []
    add = partial(_with_anchors, shown)
    passes: list[Pass] = []
    known = NOBODY
    for here, ahead in pairwise([*order, None]):
        assert here is not None
        known = (known - gone.get(here, NOBODY)) | shown[here]
        if ahead is None:
            passes.append(add(Pass(here, range(here, end + step, step), known)))
        elif known and known <= shown[ahead]:
            middle = here + step * (abs(ahead - here) // 2)
            passes.append(add(Pass(here, range(here, middle + step, step), known)))
            if middle + step != ahead:
                passes.append(add(Pass(ahead, range(ahead - step, middle, -step), known)))
        else:
            arrives = ahead if known else None
            passes.append(add(Pass(here, range(here, ahead, step), known, arrives=arrives)))
    if lead_in and order[0] != begin:
        start = order[0]
        passes.append(add(Pass(start, range(start - step, begin - step, -step), shown[start])))
    return passes


def _with_anchors(shown: Mapping[int, Ids], part: Pass) -> Pass:
    """Return ``part`` with the nearest other marks that show any of its objects.

    One that gives the mask of its start alone, as where every frame is marked, needs none.
    """
    if part.arrives is None and part.frames[:2] == range(part.start, part.start + 1):
        return part

    def distance(index: int) -> tuple[int, int]:
        near = min(abs(index - part.start), abs(index - part.last))
        return near, abs(index - part.start)

    others = [i for i, ids in shown.items() if i != part.start and ids & part.objects]
    nearest = sorted(others, key=distance)[:ANCHORS]
    return Pass(part.start, part.frames, part.objects, tuple(reversed(nearest)), part.arrives)


def walk(
    video: Video,
    mark: Callable[[int], np.ndarray],
    passes: Iterable[Pass],
    carry: Callable[..., Iterator[SegmentedFrame]],
    *,
    erased: Mapping[int, Ids] | None = None,
) -> Iterator[SegmentedFrame]:
    """Yield the masks of ``passes``, each frame once.

    A marked frame comes as it was marked, with what was found there of the objects it does not
    show. Memory grows neither with the length of the video nor with the number of marks.

    Args:
        mark: gives the (H, W) uint8 ids of a marked frame; called when they are needed.
        carry: `segment` with extractor and protocol; called with frames and annotations.
        erased: as for `plan_passes`.
    """
    gone = erased or {}
    completed: dict[int, np.ndarray] = {}
    features: dict[int, Tensor] = {}
    for part in passes:
        if not part.objects:
            blank = np.zeros(video.size, np.uint8)
            yield from (SegmentedFrame(index, (), blank.copy()) for index in part.frames)
            continue
        needed = {part.start, *part.anchors}
        features = {index: features[index] for index in needed & features.keys()}
        start = completed.get(part.start)
        given = {index: _only(mark(index), part.objects) for index in part.anchors}
        given[part.start] = _only(mark(part.start) if start is None else start, part.objects)
        stream = carry(
            _frames(video, part),
            given,
            complete={part.start: part.objects},
            features=features,
        )
        behind = len(part.anchors)
        ids = tuple(sorted(part.objects))
        for number, (index, _, mask) in enumerate(stream):
            if number < behind:
                continue
            if index == part.arrives:
                rest = _without(mask, gone.get(index, NOBODY))
                completed = {index: as_annotated(rest, mark(index))}
            elif index in part.frames:
                yield SegmentedFrame(index, ids, mask)


def _frames(video: Video, part: Pass) -> Iterator[IndexedFrame]:
    """Return the frames of a pass as it walks them: anchors, its start, what lies before it."""
    anchors = ((index, video[index]) for index in part.anchors)
    if part.last >= part.start:
        stop = None if part.last >= END else part.last + 1
        return chain(anchors, enumerate(video.read(part.start, stop), start=part.start))
    return chain(anchors, read_backwards(video, part.start + 1, part.last))


def read_backwards(video: Video, stop: int, start: int = 0) -> Iterator[IndexedFrame]:
    """Yield frames ``stop - 1`` down to ``start`` with their indices, decoded a few at a time."""
    while stop > start:
        first = max(start, stop - FRAMES_TURNED_AT_ONCE)
        chunk = list(enumerate(video.read(first, stop), start=first))
        yield from reversed(chunk)
        stop = first


def _only(mask: np.ndarray, objects: Collection[int]) -> np.ndarray:
    """Return ``mask`` with the objects that a pass does not carry given to the background."""
    kept = np.zeros(256, bool)
    kept[[0, 255, *objects]] = True
    return mask if kept[mask].all() else np.where(kept[mask], mask, np.uint8(0))


def _without(mask: np.ndarray, objects: Collection[int]) -> np.ndarray:
    return np.where(np.isin(mask, list(objects)), np.uint8(0), mask) if objects else mask
