"""Which frame to correct next."""

from __future__ import annotations

import numpy as np
import pytest

from vos.segmentation.confidence import frame_confidence, next_to_correct


@pytest.mark.parametrize("objects, expected", [({1: 0.9, 7: 0.4}, 0.4), ({3: 1.0}, 1.0), ({}, 1.0)])
def test_the_least_sure_object_decides_on_a_frame(objects, expected):
    assert frame_confidence(objects) == expected


def test_next_to_correct():
    confidence = np.array([1, 0.2, 0.9, 0.9, 0.6, 0.7, np.nan], np.float32)
    assert next_to_correct(confidence, {0}) == 4, "frame 1 lies beside a marked one"
    assert next_to_correct(confidence, {0, 4}) is None
    assert next_to_correct(np.full(5, np.nan), set()) is None
