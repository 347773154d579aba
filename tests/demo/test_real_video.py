"""Videos as telephones make them: portrait, turned, uneven in time, odd in size, long."""

from __future__ import annotations

import json
from collections.abc import Iterator

import av
import numpy as np
import pytest
from films import film
from visitor import masks_in

from vos.demo import canvas
from vos.demo.downloads import write_download
from vos.demo.limits import Limits
from vos.demo.queue import Models, propagate
from vos.demo.session import Session
from vos.media import open_video


def scene(size: tuple[int, int], count: int) -> Iterator[np.ndarray]:
    """A bright square that moves a pixel a frame over a dim ground; square at (10, 12 + t)."""
    ground = np.random.default_rng(0).integers(0, 70, (*size, 3), np.uint8)
    side = min(size) // 4
    for t in range(count):
        frame = ground.copy()
        frame[10 : 10 + side, 12 + t : 12 + t + side] = (240, 220, 60)
        yield frame


# name, size of the stored frames, how it is stored, upright size
CLIPS = [
    ("portrait.mp4", (960, 540), {}, (960, 540)),
    ("turned-right.mp4", (120, 160), {"rotation": -90}, (160, 120)),
    ("turned-left.mp4", (120, 160), {"rotation": 90}, (160, 120)),
    ("upside-down.mp4", (120, 160), {"rotation": 180, "sound": True}, (120, 160)),
    ("uneven.mp4", (120, 160), {"times": [0, 33, 50, 180, 200, 390]}, (120, 160)),
    ("odd.mkv", (121, 163), {}, (121, 163)),
    ("camera.webm", (120, 160), {"times": [0, 50, 449, 649, 2662, 2849]}, (120, 160)),
    ("voice.webm", (90, 122), {"sound": True}, (90, 122)),
]


def opened(tmp_path, name, stored, how) -> Session:
    path = film(tmp_path / name, scene(stored, 6), **how)
    session = Session(tmp_path / "session", Limits())
    session.open(session.adopt(path), name=path.stem)
    return session


@pytest.mark.parametrize("name, stored, how, upright", CLIPS, ids=[c[0] for c in CLIPS])
def test_marks_map_back_losslessly(tmp_path, name, stored, how, upright):
    session = opened(tmp_path, name, stored, how)
    assert session.clip.size == upright and session.clip.frame_count == 6
    times = how.get("times", range(0, 240, 40))
    np.testing.assert_allclose(session.clip.times, np.array(times) / 1000, atol=0.002)
    mask = np.random.default_rng(1).choice(np.array([0, 1, 2], np.uint8), upright)
    session.annotate(0, mask)
    told = json.loads(canvas.shown(session))
    assert (told["height"], told["width"]) == upright
    stroke = canvas.Stroke(np.array([[25.0, 30.0], [50.0, 41.0]]), 6, False)
    region = canvas.stroke_region(stroke, upright)
    merged = canvas.give(mask, region, session.objects.add(3), session)
    assert region.any() and (merged[region] == 3).all()
    np.testing.assert_array_equal(merged[~region], mask[~region])


@pytest.mark.parametrize("name, stored, how, upright", CLIPS[1:], ids=[c[0] for c in CLIPS[1:]])
def test_results_are_upright_and_in_time(tmp_path, name, stored, how, upright):
    session = opened(tmp_path, name, stored, how)
    exact = session.clip.frames[0].max(2) > 170  # the bright square
    session.annotate(0, exact.astype(np.uint8))
    for _ in propagate(session, Models("cpu"), "whole", model="lab", preset="default"):
        pass
    masks = masks_in(write_download(session, "png"))
    assert {mask.shape for mask in masks} == {upright} and len(masks) == 6
    np.testing.assert_array_equal(masks[0] == 1, exact)
    assert all((mask == 1).any() for mask in masks)
    overlay = write_download(session, "overlay")
    with av.open(str(overlay)) as written:
        assert len(written.streams.audio) == bool(how.get("sound")), "it keeps its sound"
    drawn = open_video(overlay)
    assert drawn.size == tuple(side + side % 2 for side in upright) and drawn.count_frames() == 6
    np.testing.assert_allclose(drawn.frame_times(), session.clip.video.frame_times(), atol=0.002)
