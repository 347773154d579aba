"""Clicks that undo takes back are forgotten, and those that redo brings back are not known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vos.demo.limits import Limits
from vos.demo.pointing import Pointing
from vos.demo.session import Session
from vos.errors import UsageError
from vos.segmentation.interactive import Click, InteractiveFrame

CLICKS = (Click(3, 4), Click(20, 9, False))


def test_clicks_follow_undo(tmp_path, clip):
    session = Session(tmp_path / "session", Limits())
    session.open(clip.path)
    for count in (1, 2):
        pointing = session.pointing_at(0)
        assert pointing.clicks == CLICKS[: count - 1]
        mask = np.zeros(session.clip.size, np.uint8)
        mask[:count] = 1
        session.annotate(0, mask)
        pointing.note(CLICKS[:count], None, mask)
    assert session.pointed_at(0).clicks == CLICKS
    assert session.pointed_at(1) is None
    session.undo()
    assert session.pointed_at(0).clicks == CLICKS[:1]
    session.undo()
    assert session.pointed_at(0).clicks == ()
    session.annotate(0, np.ones(session.clip.size, np.uint8))
    assert session.pointed_at(0) is None, "painted over"
    assert session.pointing_at(0).clicks == ()
    session.add_object()
    assert session.pointed_at(0) is None, "another object"


def test_a_click_cannot_take_away_from_nothing():
    image = np.zeros((40, 40, 3), np.uint8)
    frame = InteractiveFrame(image, torch.rand(8, 5, 5, generator=torch.manual_seed(0)))
    pointing = Pointing(0, 1, np.zeros((40, 40), np.uint8))
    with pytest.raises(UsageError, match="first point"):
        pointing.region(frame, (Click(3, 4, False),), None)
    marked = Pointing(0, 1, np.ones((40, 40), np.uint8))
    assert not marked.region(frame, (Click(3, 4, False),), None)[4, 3]
