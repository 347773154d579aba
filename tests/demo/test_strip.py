"""The strip shows where the propagator is not confident."""

from __future__ import annotations

import numpy as np

from vos.demo.strip import COLUMNS, strip


def test_long_videos_make_no_longer_strips():
    confidence = np.ones(20_000, np.float32)
    confidence[777] = 0.1
    drawn = strip(confidence, {5}, 3, trim=(0, 19_999), lowest=777)
    assert drawn.count("<rect") <= COLUMNS + 5
    assert "least sure at frame 777 (10 %)" in drawn
    assert "hsl(0 " in drawn, "one bad frame is not averaged away"


def test_the_page_can_tell_whether_masks_would_be_lost():
    nothing = np.full(5, np.nan, np.float32)
    assert "data-masks" not in strip(nothing, (), 0, trim=(0, 4))
    marked = np.array([1, *nothing[1:]], np.float32)
    assert "data-masks" in strip(marked, {0}, 0, trim=(0, 4))
