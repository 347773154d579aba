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
