"""The strip shows where the propagator is unsure, and names the frame to correct."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vos.demo.confidence import certainty, next_to_correct
from vos.demo.strip import COLUMNS, strip
from vos.propagation import SoftLabels, preset
from vos.propagation.engines.choose import engine_for


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
def test_certainty(labels, expected):
    assert certainty(soft(labels)) == pytest.approx(expected)


def test_next_to_correct():
    confidence = np.array([1, 0.2, 0.9, 0.9, 0.6, 0.7, np.nan], np.float32)
    assert next_to_correct(confidence, {0}) == 4, "frame 1 lies beside a marked one"
    assert next_to_correct(confidence, {0, 4}) is None
    assert next_to_correct(np.full(5, np.nan), set()) is None


def test_long_videos_make_no_longer_strips():
    confidence = np.ones(20_000, np.float32)
    confidence[777] = 0.1
    drawn = strip(confidence, {5}, 3, trim=(0, 19_999), lowest=777)
    assert drawn.count("<rect") <= COLUMNS + 5
    assert "least sure at frame 777 (10 %)" in drawn
    assert "hsl(0 " in drawn, "one bad frame is not averaged away"
