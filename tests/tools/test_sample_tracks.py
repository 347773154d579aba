"""Exact tracks: known motions, and the pixels that a track passes look alike."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sample_renderer.render import Key, Layer, Scene, render
from sample_renderer.scenes import pond
from sample_renderer.shapes import Blob, Slab
from sample_renderer.tracks import track_in_scene, track_points

from vos.errors import UsageError

GREY = np.full((8, 8, 3), 90.0)


def scene(*layers: Layer, camera: tuple[Key, ...] = (Key(0, 40, 30),)) -> Scene:
    return Scene("made-up", 81, 61, 9, 1, GREY, layers, camera)


def test_turning_growing_moving_blob() -> None:
    keys = (Key(0, 30, 30, 0, 1.0), Key(8, 46, 30, 80, 1.5))
    tracks = track_in_scene(scene(Layer(1, Blob(10, ()), GREY, keys)), [(34.0, 30.0)])
    # Between two keys everything runs evenly; the point sits 4 units to the right of the middle.
    for time in range(9):
        share = time / 8
        turn, size = math.radians(80 * share), 1 + 0.5 * share
        expected = (
            30 + 16 * share + 4 * size * math.cos(turn),
            30 + 4 * size * math.sin(turn),
        )
        np.testing.assert_allclose(tracks.points[time, 0], expected, atol=1e-5)
    assert tracks.visible.all()


def test_backdrop_moves_against_the_camera() -> None:
    camera = (Key(0, 40, 30), Key(8, 56, 22))
    tracks = track_in_scene(scene(camera=camera), [(20.0, 30.0), (2.0, 3.0)])
    np.testing.assert_allclose(tracks.points[8], [(4, 38), (-14, 11)], atol=1e-9)
    assert tracks.visible[:, 0].all()
    assert tracks.visible[:2, 1].tolist() == [True, True]
    assert not tracks.visible[4:, 1].any(), "outside the frame"


def test_hidden_behind_another_thing() -> None:
    ball = Layer(1, Blob(6, ()), GREY, (Key(0, 10, 30), Key(8, 74, 30)))
    wall = Layer(0, Slab(6, 60), GREY, (Key(0, 42, 30),))
    tracks = track_in_scene(scene(ball, wall), [(10.0, 30.0)])
    np.testing.assert_allclose(tracks.points[:, 0, 0], 10 + 8 * np.arange(9), atol=1e-6)
    assert tracks.visible[:, 0].tolist() == [True] * 4 + [False] + [True] * 4


def test_tracks_run_both_ways() -> None:
    here = track_points("pond", [(130.0, 150.0)])
    middle = here.points[12]
    there = track_points("pond", middle, frame=12)
    np.testing.assert_allclose(here.points[:, 0], there.points[:, 0], atol=1e-4)


def test_a_visible_point_of_a_bending_fish_lies_in_its_mask_and_keeps_its_colour() -> None:
    frames, masks = zip(*render(pond()), strict=True)
    rows, columns = np.nonzero(masks[0] == 1)
    chosen = np.random.default_rng(0).permutation(len(rows))[:12]
    points = np.stack([columns[chosen], rows[chosen]], 1)
    tracks = track_points("pond", points)
    assert tracks.points.shape == (32, 12, 2)
    checked = 0
    changes = []
    for time in range(32):
        for number in np.flatnonzero(tracks.visible[time]):
            column, row = np.rint(tracks.points[time, number]).astype(int)
            x, y = tracks.points[time, number]
            window = masks[time][int(y) : int(y) + 2, int(x) : int(x) + 2]
            assert (window == 1).any()
            first = frames[0][points[number][1], points[number][0]].astype(float)
            changes.append(np.abs(frames[time][row, column] - first).mean())
            checked += 1
    assert checked > 250
    spread = frames[0][rows, columns].astype(float)
    at_random = np.abs(spread[:, None] - spread[None, chosen]).mean()
    assert np.median(changes) < 0.35 * at_random


def test_bad_input_is_one_line() -> None:
    with pytest.raises(UsageError, match="did you mean pond"):
        track_points("ponds", [(1, 1)])
    with pytest.raises(UsageError, match="frames 0 to 31"):
        track_points("pond", [(1, 1)], frame=32)
    with pytest.raises(UsageError, match="outside the frame"):
        track_points("pond", [(500, 1)])
