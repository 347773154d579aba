"""Which frames a person should look at: those where an object is probably lost."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np


def frame_confidence(objects: Mapping[int, float]) -> float:
    """Return the confidence in a frame: that in its least sure object; 1 without any.

    The least sure object counts, since one lost object is reason enough to look at a frame.

    Args:
        objects: confidence by object id, as `Propagator.confidence` gives it.
    """
    return min(objects.values(), default=1.0)


def next_to_correct(
    confidence: np.ndarray, annotated: Collection[int], *, margin: int = 2
) -> int | None:
    """Return the least sure frame that is not beside an annotated one; None where all is known.

    Args:
        confidence: (T,) float, NaN where nothing was propagated.
        margin: frames this near to an annotated one are passed over.
    """
    open_frames = np.array(confidence, np.float32)
    for index in annotated:
        open_frames[max(0, index - margin) : index + margin + 1] = np.nan
    if np.isnan(open_frames).all():
        return None
    return int(np.nanargmin(open_frames))
