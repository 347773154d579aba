"""Solid objects stay solid and whole ones whole, unless motion or looks say otherwise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from vos.propagation import PropagationConfig, Propagator
from vos.propagation.topology import Topology, holes, pieces

GRID = (9, 12)
SHAPES = """
............
.####....##.
.#..#....##.
.#..#.......
.####..####.
.......#..#.
...##..##.#.
..#..#......
...##.......
"""
HOLES = ({26, 27, 38, 39}, {87, 88})  # the one at the right is open to the side, across a corner


def plane_of(shapes):
    return torch.tensor([float(c == "#") for c in shapes if c in ".#"])


def labels_of(*planes):
    objects = torch.stack(planes, 1)
    return torch.cat([1 - objects.sum(1, keepdim=True), objects], 1)


def test_holes_are_what_an_object_encloses():
    assert tuple(set(part.tolist()) for part in holes(plane_of(SHAPES), GRID)) == HOLES


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_nothing_and_everything_have_no_holes(value):
    assert not holes(torch.full((108,), value), GRID)


def test_what_lies_at_the_edge_of_the_frame_is_no_hole():
    plane = torch.ones(*GRID)
    plane[:3, 5] = 0
    plane[4, -1] = 0
    assert not holes(plane.flatten(), GRID)
    plane[6, 4] = 0
    assert [part.tolist() for part in holes(plane.flatten(), GRID)] == [[76]]


def test_pieces_touch_at_corners_and_the_largest_comes_first():
    plane = torch.zeros(*GRID)
    plane[0, 0] = plane[1, 1] = 0.6
    plane[4:6, 4:6] = 1
    plane[8, 8] = 0.5
    found = [piece.tolist() for piece in pieces(plane.flatten(), GRID)]
    assert found == [[52, 53, 64, 65], [0, 13]]


def boxes(*sides, without=None):
    plane = torch.zeros(*GRID)
    for top, bottom, left, right in sides:
        plane[top:bottom, left:right] = 1
    if without:
        plane[without[0] : without[1], without[2] : without[3]] = 0.2
    return plane.flatten()


DISC, RING = boxes((2, 7, 3, 8)), boxes((2, 7, 3, 8), without=(4, 5, 4, 7))
HOLE = RING == 0.2
BESIDE = boxes((2, 4, 9, 11)) == 1
NONE = torch.zeros(108)


def test_an_object_is_solid_or_whole_if_it_never_showed_otherwise():
    first = labels_of(DISC, NONE)
    assert Topology.of([first], GRID) == Topology(solid=(1, 2), whole=(1, 2))
    assert Topology.of([first, labels_of(RING, NONE)], GRID) == Topology((2,), (1, 2))
    assert Topology.of([labels_of(NONE, DISC + BESIDE)], GRID) == Topology((1, 2), (1,))
    assert Topology.of([], GRID) == Topology()


def saying(plane, channels=2):
    """A witness that takes tokens for the first object as ``plane`` says."""
    said = torch.zeros(108, channels)
    said[:, 0], said[:, 1] = 1 - plane, plane
    return lambda tokens: said[tokens]


def test_a_hole_that_moves_as_the_object_does_is_filled():
    labels = labels_of(RING)
    before = labels.clone()
    filled = Topology(solid=(1,)).restored(labels, GRID, saying(DISC), saying(NONE))
    assert torch.equal(labels, before)
    assert filled[HOLE].tolist() == [[0, 1]] * 3
    assert torch.equal(filled[~HOLE], labels[~HOLE])


def test_a_hole_that_moves_otherwise_or_is_of_another_object_stays():
    labels = labels_of(RING)
    for solid, motion in (((1,), RING), ((), DISC)):
        kept = Topology(solid=solid).restored(labels, GRID, saying(motion), saying(DISC))
        assert torch.equal(kept, labels)


def test_what_another_object_has_of_a_hole_stays_its_own():
    labels = torch.cat([labels_of(RING), torch.zeros(108, 1)], 1)
    place = 4 * GRID[1] + 5
    labels[place] = torch.tensor([0.1, 0.2, 0.7])
    filled = Topology(solid=(1,)).restored(labels, GRID, saying(DISC, 3), saying(DISC, 3))
    torch.testing.assert_close(filled[place], torch.tensor([0.0, 0.3, 0.7]))


def test_a_piece_apart_goes_if_neither_motion_nor_looks_know_it():
    labels = labels_of(DISC + 0.8 * BESIDE)
    both, gone = (DISC + BESIDE).float(), labels_of(DISC)
    for motion, looks, expected in (
        (DISC, DISC, gone),
        (both, DISC, labels),  # behind a pole, and out of the light
        (DISC, both, labels),  # behind a pole, and turning otherwise
        (0.4 * DISC, NONE, labels),  # all things move alike: motion knows nothing
    ):
        found = Topology(whole=(1,)).restored(labels, GRID, saying(motion), saying(looks))
        torch.testing.assert_close(found, expected)
    assert torch.equal(Topology().restored(labels, GRID, saying(DISC), saying(DISC)), labels)


CONFIG = PropagationConfig(
    window="circle",
    radius=2,
    recent=3,
    early="skip",
    annotated_in_window=True,
    motion="flow",
    classifier=0.5,
    classifier_motion=True,
    keep_topology=True,
)


def middle_after(config, annotate_hole=False):
    """The label of a ball's middle once it comes to look like the background, ball moving right."""
    propagator = Propagator(config)
    for t in range(5):
        mask = np.zeros((72, 96), np.uint8)
        mask[16:56, 8 + 8 * t : 48 + 8 * t] = 3
        if annotate_hole:
            mask[32:40, 24 + 8 * t : 32 + 8 * t] = 0
        ball = torch.from_numpy(mask[4::8, 4::8] == 3)
        if t == 4:
            ball[4, 3 + t : 4 + t] = False
        features = torch.stack([ball.float(), (~ball).float()])
        flow = np.zeros((72, 96, 2), np.float32)
        flow[16:56, 8 + 8 * t : 48 + 8 * t, 0] = -8
        if t == 0:
            propagator.annotate(0, features, mask)
        else:
            labels = propagator.step(t, features, flow).labels
    return labels.reshape(*GRID, 2)[4, 7, 1]


def test_a_ball_keeps_its_patches():
    assert middle_after(CONFIG) > 0.999
    assert middle_after(dataclasses.replace(CONFIG, keep_topology=False)) < 0.5
    assert middle_after(CONFIG, annotate_hole=True) < 0.5


def test_what_looks_like_the_ball_stays_though_it_lies_apart_and_still():
    """Labels are asked of looks, not of motion, which takes the piece for the background."""
    propagator = Propagator(dataclasses.replace(CONFIG, radius=4))
    for t in range(5):
        ball, flow = torch.zeros(*GRID), np.zeros((72, 96, 2), np.float32)
        ball[2:7, 1 + t : 6 + t] = 1
        flow[16:56, 8 + 8 * t : 48 + 8 * t, 0] = -8
        looks = ball.clone()
        if t == 4:
            looks[3:5, 11] = 1
        features = torch.stack([looks, 1 - looks])
        if t == 0:
            mask = 3 * ball.to(torch.uint8).repeat_interleave(8, 0).repeat_interleave(8, 1).numpy()
            propagator.annotate(0, features, mask)
        else:
            labels = propagator.step(t, features, flow).labels
    assert labels.reshape(*GRID, 2)[3:5, 11, 1].min() > 0.5


@pytest.mark.parametrize("change", [{"motion": "none"}, {"classifier_motion": False}])
def test_without_motion_nothing_is_filled(change):
    assert middle_after(dataclasses.replace(CONFIG, **change)) < 0.5
