"""The strips show on which frames which object is lost."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace

import numpy as np
import pytest

from vos.demo.objects import ObjectList
from vos.demo.strip import COLUMNS, UNKNOWN, strips
from vos.segmentation.mask_store import Mark


@pytest.fixture
def objects() -> ObjectList:
    objects = ObjectList()
    for _ in range(3):
        objects.add()
    objects.change(2, name="<b>cup</b>", visible=False, locked=True)
    return objects


def told(objects, *confidence: np.ndarray, marks: dict | None = None) -> dict:
    """What the strips of ``objects`` are told of (T,) confidence in each."""
    by_id = {item.id: known for item, known in zip(objects, confidence, strict=False)}
    work = SimpleNamespace(
        confidence=np.min(confidence, axis=0),
        object_confidence=by_id,
        frame_count=len(confidence[0]),
        marks=marks or {},
    )
    return json.loads(strips(objects, work, (0, work.frame_count - 1)))


def values(line: dict) -> list[int]:
    return list(base64.b64decode(line["values"]))


def test_each_object_is_shown_where_it_is_lost(objects):
    sure, lost = np.ones(50, np.float32), np.ones(50, np.float32)
    lost[30] = 0.1
    lines = told(objects, sure, lost, marks={0: Mark(frozenset({1, 2}))})["lines"]
    assert values(lines[0]) == [200] * 50
    assert [at for at, value in enumerate(values(lines[1])) if value == 20] == [30]
    assert lines[1]["text"] == ", hidden, locked: least sure at frame 30, 10 %"
    assert lines[2]["text"] == ": nothing propagated yet" and values(lines[2]) == []
    assert [line["marks"] for line in lines] == [[0], [0], []]


def test_long_videos_make_no_longer_strips_and_hide_nothing(objects):
    known = np.full(19_999, np.nan, np.float32)
    known[:12_000] = 0.9
    known[777] = 0.05
    line = told(objects, known)["lines"][0]
    drawn = values(line)
    assert len(drawn) == COLUMNS and len(line["values"]) < 2 * COLUMNS
    assert drawn[777 * COLUMNS // 19_999] == 10, "one bad frame is not averaged away"
    assert drawn[-1] == UNKNOWN and set(drawn) == {10, 180, UNKNOWN}


def test_the_page_can_tell_whether_masks_would_be_lost(objects):
    nothing = np.full(5, np.nan, np.float32)
    assert told(objects, nothing)["masks"] is False
    marked = np.array([1, *nothing[1:]], np.float32)
    said = told(objects, marked, marks={0: Mark(frozenset({1}))})
    assert said["masks"] and said["text"] == "1 of 5 frames have masks, 1 marked."
