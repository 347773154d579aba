"""What the canvas is told and what it sends: strokes at full size, locks, nonsense."""

from __future__ import annotations

import base64
import json
from itertools import pairwise

import cv2
import numpy as np
import pytest

from vos.demo import canvas
from vos.demo.limits import Limits
from vos.demo.session import Session
from vos.errors import UsageError


@pytest.fixture
def session(tmp_path, clip):
    session = Session(tmp_path / "session", Limits())
    session.open(clip.path)
    session.add_object()
    session.annotate(0, clip.masks[0])
    yield session
    session.close()


def decoded(url):
    data = np.frombuffer(base64.b64decode(url.split(",", 1)[1]), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)


def test_a_stroke_covers_the_pixels_within_its_radius():
    path = np.array([[10.3, 12.7], [40.1, 30.2], [22.0, 44.5]])
    region = canvas.stroke_region(canvas.Stroke(path, 5.5, False), (60, 64))
    y, x = np.mgrid[:60, :64] + 0.5
    distance = np.full((60, 64), np.inf)
    for start, end in pairwise(path):
        along = end - start
        t = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / (along @ along)
        t = t.clip(0, 1)
        apart = np.hypot(x - start[0] - t * along[0], y - start[1] - t * along[1])
        distance = np.minimum(distance, apart)
    np.testing.assert_array_equal(region, distance <= 5.5)


def test_a_tap_is_a_disc():
    region = canvas.stroke_region(canvas.Stroke(np.array([[20.5, 9.5]]), 4, False), (30, 40))
    y, x = np.mgrid[:30, :40] + 0.5
    np.testing.assert_array_equal(region, np.hypot(x - 20.5, y - 9.5) <= 4)


def test_what_is_locked_is_neither_painted_over_nor_erased(session):
    mask = session.mask(0)
    everywhere = np.ones(mask.shape, bool)
    session.objects.change(2, locked=True)
    first = session.objects[1]
    painted = canvas.give(mask, everywhere, first, session)
    np.testing.assert_array_equal(painted == 2, mask == 2)
    assert (painted[mask != 2] == 1).all()
    np.testing.assert_array_equal(
        canvas.erase(mask, everywhere, session), np.where(mask == 2, 2, 0)
    )


def test_the_canvas_sees_the_frame_and_the_visible_objects(session):
    session.opacity = 0.4
    session.objects.change(2, visible=False)
    told = json.loads(canvas.shown(session))
    mask = session.mask(0)
    assert (told["height"], told["width"], told["index"]) == (*mask.shape, 0)
    frame = decoded(told["frame"])[..., ::-1]
    assert np.abs(frame.astype(int) - session.clip.frames[0]).mean() < 5
    layer = decoded(told["layer"])
    np.testing.assert_array_equal(layer[..., 3] > 0, mask == 1)
    inside = cv2.erode((mask == 1).astype(np.uint8), np.ones((5, 5))) > 0
    assert (layer[inside][:, 3] == round(255 * 0.4)).all()
    assert (layer[..., 3] == 255).any(), "outlines"
    red, green, blue = (int(session.objects[1].colour[i : i + 2], 16) for i in (1, 3, 5))
    assert (layer[inside] == (blue, green, red, 102)).all()


def test_large_frames_are_made_smaller(session, monkeypatch):
    monkeypatch.setattr(canvas, "LONG_SIDE", 160)
    told = json.loads(canvas.shown(session))
    assert decoded(told["frame"]).shape[:2] == decoded(told["layer"]).shape[:2] == (90, 160)
    assert (told["height"], told["width"]) == (180, 320)


def test_a_box_may_be_drawn_from_any_corner():
    assert canvas.box_of({"corners": [[30.2, 5], [10.7, 20.5]]}) == [10, 5, 31, 21]


STROKE = {"path": [[1, 2]], "radius": 3}


@pytest.mark.parametrize(
    "read, sent",
    [
        (canvas.stroke_of, {**STROKE, "path": []}),
        (canvas.stroke_of, {**STROKE, "path": "long"}),
        (canvas.stroke_of, {**STROKE, "path": [[1, 2, 3]]}),
        (canvas.stroke_of, {**STROKE, "path": [[1, None]]}),
        (canvas.stroke_of, {**STROKE, "path": [[1, float("nan")]]}),
        (canvas.stroke_of, {**STROKE, "path": [[1, 1e9]]}),
        (canvas.stroke_of, {**STROKE, "path": [[1, 1]] * 30_000}),
        (canvas.stroke_of, {**STROKE, "radius": 0}),
        (canvas.stroke_of, {**STROKE, "radius": 1e6}),
        (canvas.click_of, {"x": 3}),
        (canvas.click_of, {"x": 3, "y": {}}),
        (canvas.box_of, {"corners": [[1, 2]]}),
        (canvas.box_of, {}),
    ],
)
def test_nonsense_is_refused(read, sent):
    with pytest.raises(UsageError):
        read(sent)
