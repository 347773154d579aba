"""A part of a video is a video of its own."""

from __future__ import annotations

import numpy as np
import pytest

from vos.media import open_video
from vos.media.excerpt import Excerpt


def test_frames_are_counted_anew(make_video, frame_number):
    video = open_video(make_video("numbers.mp4", count=12))
    part = Excerpt(video, 4, 9)
    assert part.count_frames() == part.frame_count == 5 and part.size == video.size
    assert [frame_number(frame) for frame in part] == [4, 5, 6, 7, 8]
    assert [frame_number(frame) for frame in part.read(1, 3)] == [5, 6]
    assert frame_number(part[-1]) == 8
    np.testing.assert_allclose(part.frame_times(), np.arange(5) / 25, atol=1e-6)
    assert list(part.read(7)) == []
    with pytest.raises(IndexError):
        part[5]


def test_it_ends_where_the_video_ends(make_video, frame_number):
    part = Excerpt(open_video(make_video("numbers.mp4", count=6)), 4, 99)
    assert [frame_number(frame) for frame in part] == [4, 5]
