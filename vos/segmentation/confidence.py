"""How sure masks are, by frame and object, and which of them a person should look at."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np


def frame_confidence(objects: Mapping[int, float]) -> float:
    """Return the confidence in a frame: that in its least sure object; 1 without any.

    The least sure object counts, since one lost object is reason enough to look at a frame.

    Args:
        objects: confidence by object id, as `Propagator.confidence` gives it.
    """
    return min(objects.values(), default=1.0)


class FrameConfidence(NamedTuple):
    """The confidence in one frame (NaN: it has no mask), and in its objects by id."""

    frame: float = float("nan")
    objects: Mapping[int, float] = {}


class Confidence:
    """The confidence in all masks of a video, 0 to 1.

    Attributes:
        frames: (T,) float32, 1 on marked frames, NaN where there is no mask.
        objects: by id, (T,) float32, NaN on frames that the object was not carried to.
    """

    def __init__(self, frame_count: int) -> None:
        self.frames = np.full(frame_count, np.nan, np.float32)
        self.objects: dict[int, np.ndarray] = {}

    def __getitem__(self, index: int) -> FrameConfidence:
        found = {i: float(of[index]) for i, of in self.objects.items() if not np.isnan(of[index])}
        return FrameConfidence(float(self.frames[index]), found)

    def __setitem__(self, index: int, known: FrameConfidence) -> None:
        self.frames[index] = known.frame
        for object_id in self.objects.keys() | known.objects.keys():
            of = self.objects.get(object_id)
            if of is None:
                of = self.objects[object_id] = np.full_like(self.frames, np.nan)
            of[index] = known.objects.get(object_id, np.nan)

    def least_sure(self, index: int) -> int | None:
        """Return the id of the object that is least sure on a frame; None without any."""
        objects = self[index].objects
        return min(objects, key=lambda object_id: objects[object_id], default=None)


def next_to_correct(
    confidence: np.ndarray, annotated: Collection[int], *, margin: int = 2
) -> int | None:
    """Return the least sure frame that is not beside an annotated one; None where all is known.

    Args:
        confidence: (T,) float, of frames or of one object, NaN where nothing was propagated.
        margin: frames this near to an annotated one are passed over.
    """
    open_frames = np.array(confidence, np.float32)
    for index in annotated:
        open_frames[max(0, index - margin) : index + margin + 1] = np.nan
    if np.isnan(open_frames).all():
        return None
    return int(np.nanargmin(open_frames))
