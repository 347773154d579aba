"""How the scores of one object over time become three numbers: mean, recall and decay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RECALL_THRESHOLD = 0.5
BINS = 4


@dataclass(frozen=True)
class Statistics:
    """One measure over the frames of an object, or averaged over objects.

    Attributes:
        mean: average score, in [0, 1].
        recall: share of frames that score above 0.5, in [0, 1].
        decay: average of the first quarter of the frames minus that of the last, in [-1, 1];
            lower is better.
    """

    mean: float
    recall: float
    decay: float

    def as_dict(self) -> dict[str, float]:
        """The three numbers by name."""
        return {"mean": self.mean, "recall": self.recall, "decay": self.decay}


def summarise(values: np.ndarray) -> Statistics:
    """Mean, recall and decay of the scores ``(T,)`` of one object, T at least 1.

    The quarters share their end frames, as in the official code, which however counts frames
    modulo 256; here decay is right for a video of any length.
    """
    values = np.asarray(values, np.float64)
    # The small number makes halves round up, like the official code, instead of to even.
    ends = np.round(np.linspace(1, len(values), BINS + 1) + 1e-10).astype(int) - 1
    first, last = values[ends[0] : ends[1] + 1], values[ends[-2] : ends[-1] + 1]
    return Statistics(
        mean=float(values.mean()),
        recall=float(np.mean(values > RECALL_THRESHOLD)),
        decay=float(first.mean() - last.mean()),
    )


def average(statistics: Sequence[Statistics]) -> Statistics:
    """Average over objects, each weighing the same however long its video is."""
    return Statistics(
        mean=float(np.mean([each.mean for each in statistics])),
        recall=float(np.mean([each.recall for each in statistics])),
        decay=float(np.mean([each.decay for each in statistics])),
    )
