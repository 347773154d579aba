"""Solid objects stay solid, and only they do, and only where what they enclose moves with them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from vos.propagation import PropagationConfig, Propagator
from vos.propagation.holes import fill_holes, holes, solid_objects
from vos.propagation.motion_cue import MotionCue

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


def test_an_object_is_solid_if_it_never_showed_a_hole():
    disc = torch.zeros(*GRID)
    disc[2:6, 5:9] = 1
    ring = disc.clone()
    ring[3:5, 6:8] = 0
    none = torch.zeros(108)
    first = labels_of(disc.flatten(), none)
    assert solid_objects([first], GRID) == [1, 2]
    assert solid_objects([first, labels_of(ring.flatten(), none)], GRID) == [2]
    assert solid_objects([], GRID) == []


def ring_and_motion(hole_moves):
    """Labels of a disc that moves, motion of a frame where its middle moves or does not."""
    disc, ring = torch.zeros(*GRID), torch.zeros(*GRID)
    disc[2:7, 3:8] = ring[2:7, 3:8] = 1
    ring[4, 4:7] = 0.2
    moving = torch.zeros(*GRID, 2)
    moving[2:7, 3:8, 1] = 1.5
    cue = MotionCue.of(moving.flatten(0, 1), labels_of(disc.flatten()), None)
    if not hole_moves:
        moving[4, 4:7] = 0
    return labels_of(ring.flatten()), moving.flatten(0, 1), cue


def test_a_hole_that_moves_as_the_object_does_is_filled():
    labels, motion, cue = ring_and_motion(hole_moves=True)
    before = labels.clone()
    filled = fill_holes(labels, [1], motion, cue, GRID)
    assert torch.equal(labels, before)
    middle = torch.zeros(*GRID, dtype=torch.bool)
    middle[4, 4:7] = True
    assert filled[middle.flatten()].tolist() == [[0, 1]] * 3
    assert torch.equal(filled[~middle.flatten()], labels[~middle.flatten()])


def test_a_hole_that_moves_otherwise_or_is_of_another_object_stays():
    labels, motion, cue = ring_and_motion(hole_moves=False)
    assert torch.equal(fill_holes(labels, [1], motion, cue, GRID), labels)
    labels, motion, cue = ring_and_motion(hole_moves=True)
    assert torch.equal(fill_holes(labels, [], motion, cue, GRID), labels)


def test_what_another_object_has_of_a_hole_stays_its_own():
    labels, motion, _ = ring_and_motion(hole_moves=True)
    labels = torch.cat([labels, torch.zeros(108, 1)], 1)
    place = 4 * GRID[1] + 5
    labels[place] = torch.tensor([0.1, 0.2, 0.7])
    everything = labels.clone()
    everything[:, 1] += everything[:, 0] * (motion[:, 1] > 0)
    everything[:, 0] *= motion[:, 1] == 0
    cue = MotionCue.of(motion, everything, None)
    filled = fill_holes(labels, [1], motion, cue, GRID)
    torch.testing.assert_close(filled[place], torch.tensor([0.0, 0.3, 0.7]))


CONFIG = PropagationConfig(
    window="circle",
    radius=2,
    recent=3,
    early="skip",
    annotated_in_window=True,
    motion="flow",
    classifier=0.5,
    classifier_motion=True,
    fill_holes=True,
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
    assert middle_after(dataclasses.replace(CONFIG, fill_holes=False)) < 0.5
    assert middle_after(CONFIG, annotate_hole=True) < 0.5


@pytest.mark.parametrize("change", [{"motion": "none"}, {"classifier_motion": False}])
def test_without_motion_nothing_is_filled(change):
    assert middle_after(dataclasses.replace(CONFIG, **change)) < 0.5
