"""How sure the propagator is of a frame, from its soft labels: confidence."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from vos.propagation import SoftLabels

FAINT = 1e-3  # share of the frame below which an object counts as hidden, not as lost


def frame_confidence(soft: SoftLabels) -> float:
    """Return the confidence of the least sure object, 0 to 1; 1 where no object is to be seen.

    Of an object with probabilities p, sum(p^2) / sum(p): what p is on average where the object
    is. Crisp labels give 1, labels spread evenly over K objects 1 / K. The least sure object
    counts, since one lost object is reason enough to look at a frame.
    """
    labels = soft.labels.float()
    shares = labels / labels.sum(1, keepdim=True).clamp(min=1e-12)
    objects = shares[:, 1:]
    mass = objects.sum(0)
    seen = mass > FAINT * len(objects)
    if not bool(seen.any()):
        return 1.0
    return float((objects.square().sum(0)[seen] / mass[seen]).min())


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
