"""Propagation for the page: which frames to segment from which marks, and a model kept at hand.

The segmenting itself is `vos.pipeline.segment`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Literal

import numpy as np

from vos.demo.confidence import certainty
from vos.demo.session import Session
from vos.errors import UsageError
from vos.media import object_ids, write_mask
from vos.pipeline import make_extractor, read_backwards, segment
from vos.propagation import SoftLabels, preset

if TYPE_CHECKING:
    from vos.backbones.inference import FeatureExtractor

Direction = Literal["whole", "onwards", "back"]
ANCHORS = 6  # marked frames behind the start that stay in the context, the nearest ones
_MODELS_KEPT = 3


@dataclass(frozen=True)
class Step:
    """One frame was segmented: ``done`` of ``total``."""

    index: int
    done: int
    total: int
    seconds: float

    @property
    def seconds_left(self) -> float:
        return self.seconds / self.done * (self.total - self.done)


@dataclass(frozen=True)
class Pass:
    """A walk from a marked frame on, forwards or backwards, up to ``last`` (included)."""

    start: int
    last: int

    @property
    def forwards(self) -> bool:
        return self.last >= self.start

    def __len__(self) -> int:
        return abs(self.last - self.start) + 1

    def __contains__(self, index: int) -> bool:
        return min(self.start, self.last) <= index <= max(self.start, self.last)


class Models:
    """Feature extractors by spec, the last few kept."""

    def __init__(self, device: str = "auto") -> None:
        self.device = device
        self._kept: dict[str, FeatureExtractor] = {}
        self._lock = threading.Lock()

    def get(self, spec: str) -> FeatureExtractor:
        """The extractor of ``spec``, loaded at its first use.

        Raises:
            VosError: there is no such model, or it cannot be loaded.
        """
        with self._lock:
            extractor = self._kept.pop(spec, None) or make_extractor(spec, self.device)
            self._kept[spec] = extractor
            while len(self._kept) > _MODELS_KEPT:
                self._kept.pop(next(iter(self._kept)))
            return extractor


class _Marks(Mapping[int, np.ndarray]):
    """The marked masks of a session, read when they are asked for, without objects taken away."""

    def __init__(self, session: Session, indices: set[int], without: frozenset[int]) -> None:
        self._session = session
        self._indices = indices
        self._without = without

    def __getitem__(self, index: int) -> np.ndarray:
        if index not in self._indices:
            raise KeyError(index)
        mask = self._session.mask(index)
        if self._without:
            mask[np.isin(mask, list(self._without))] = 0
        return mask

    def __contains__(self, index: object) -> bool:
        return index in self._indices

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._indices))

    def __len__(self) -> int:
        return len(self._indices)


def plan(session: Session, direction: Direction, frame: int) -> list[Pass]:
    """The walks that ``direction`` asks for.

    ``whole`` goes from the first marked frame to the end and then back to the start; ``onwards``
    and ``back`` start at ``frame``, and leave everything behind it as it is. A walk ends, and
    another begins, where a person took an object away.

    Raises:
        UsageError: nothing is marked, or not on the frame to start from.
    """
    clip = session.clip
    first, last = clip.trim
    if direction == "whole":
        marked = [index for index in sorted(clip.annotated) if first <= index <= last]
        if not marked:
            raise UsageError("Mark an object on a frame first: paint it, or click on it")
        start = next((i for i in marked if object_ids(session.mask(i))), None)
        if start is None:
            raise UsageError("The marked frames show no object: paint one first")
        wanted = [Pass(start, last)]
        if start > first:
            wanted.append(Pass(start, first))
    else:
        if not first <= frame <= last:
            raise UsageError(f"Frame {frame} lies outside the trimmed part, {first} to {last}")
        if not session.has_mask(frame) or not object_ids(session.mask(frame)):
            raise UsageError(f"Frame {frame} shows no object to start from: paint one first")
        wanted = [Pass(frame, last if direction == "onwards" else first)]
    return [part for walk in wanted for part in _split(walk, session)]


def _split(walk: Pass, session: Session) -> Iterator[Pass]:
    step = 1 if walk.forwards else -1
    start = walk.start
    for index in range(walk.start + step, walk.last + step, step):
        if session.clip.annotated.get(index):
            yield Pass(start, index - step)
            start = index
    yield Pass(start, walk.last)


def propagate(
    session: Session, models: Models, *, model: str, preset_name: str, passes: list[Pass]
) -> Iterator[Step]:
    """Walk ``passes``, writing masks and confidences into the session; ends early when stopped.

    Masks that a person gave stay as they are.

    Raises:
        VosError: the model cannot be loaded, or the video not be read; masks so far are kept.
    """
    extractor = models.get(model)
    total = sum(len(walk) for walk in passes)
    started = time.monotonic()
    done = 0
    for walk in passes:
        if not object_ids(session.mask(walk.start)):
            continue  # every object was taken away here
        for index in _walk(session, walk, extractor, preset_name):
            done += 1
            yield Step(index, done, total, time.monotonic() - started)
            if session.stop.is_set():
                return


def _walk(
    session: Session, walk: Pass, extractor: FeatureExtractor, preset_name: str
) -> Iterator[int]:
    clip = session.clip
    behind = [index for index in clip.annotated if index not in walk and _is_behind(index, walk)]
    anchors = sorted(behind, key=lambda index: abs(index - walk.start), reverse=True)[-ANCHORS:]
    given = {walk.start, *anchors, *(index for index in clip.annotated if index in walk)}
    marks = _Marks(session, given, clip.annotated.get(walk.start, frozenset()))
    anchors = [index for index in anchors if object_ids(marks[index])]
    ahead = (
        enumerate(clip.video.read(walk.start, walk.last + 1), start=walk.start)
        if walk.forwards
        else read_backwards(clip.video, walk.start + 1, walk.last)
    )
    frames = chain(((index, clip.frames[index]) for index in anchors), ahead)
    sureness: dict[int, float] = {}

    def observe(index: int, soft: SoftLabels) -> None:
        sureness[index] = certainty(soft)

    stream = segment(frames, marks, extractor, preset(preset_name), observe=observe)
    for segmented in stream:
        index = segmented.index
        if index not in walk:
            continue
        if index in clip.annotated:
            clip.confidence[index] = 1.0
        elif index != walk.start:
            write_mask(session.mask_path(index), segmented.mask)
            clip.confidence[index] = sureness.pop(index)
        yield index


def _is_behind(index: int, walk: Pass) -> bool:
    return index < walk.start if walk.forwards else index > walk.start
