"""How confident the propagator is of a frame, and which frame to correct next."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vos.propagation import SoftLabels, preset
from vos.propagation.engines.choose import engine_for
from vos.segmentation.confidence import frame_confidence, next_to_correct


def soft(labels) -> SoftLabels:
    tensor = torch.tensor(labels, dtype=torch.float32)
    ids = tuple(range(1, tensor.shape[1]))
    engine = engine_for(torch.device("cpu"), "auto")
    return SoftLabels(ids, tensor, (len(labels), 1), preset("default"), engine)


@pytest.mark.parametrize(
    "labels, expected",
    [
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], 1.0),
        ([[0.5, 0.5], [0.5, 0.5]], 0.5),
        ([[1, 0, 0], [0, 1, 0], [0.6, 0, 0.4]], 0.4),  # the least sure object counts
        ([[1, 0], [1, 0]], 1.0),  # nothing to be seen
        ([[4, 0], [0, 4]], 1.0),  # labels need not add up to one
    ],
)
def test_confidence_of_a_frame(labels, expected):
    assert frame_confidence(soft(labels)) == pytest.approx(expected)


def test_next_to_correct():
    confidence = np.array([1, 0.2, 0.9, 0.9, 0.6, 0.7, np.nan], np.float32)
    assert next_to_correct(confidence, {0}) == 4, "frame 1 lies beside a marked one"
    assert next_to_correct(confidence, {0, 4}) is None
    assert next_to_correct(np.full(5, np.nan), set()) is None
