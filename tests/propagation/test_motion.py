"""Motion: flow averaged to tokens, followed through frames, and objects kept by it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from toy_clips import blocks, drifting_features

from vos.errors import UsageError
from vos.propagation import Propagator, preset
from vos.propagation.motion import follow, places_led_to, token_motion

GRID = (6, 8)


def test_flow_in_pixels_becomes_the_mean_motion_of_tokens() -> None:
    flow = np.zeros((48, 64, 2), np.float32)
    flow[..., 0] = 8  # columns
    flow[:8, :4, 1] = -4  # rows; half of the first token
    motion = token_motion(flow, GRID).reshape(*GRID, 2)
    assert motion[0, 0].tolist() == [-0.25, 1.0]
    assert motion[5, 7].tolist() == [0.0, 1.0]


def test_flow_of_any_size_is_scaled_to_the_grid() -> None:
    flow = torch.tensor([5.0, 3.0]).expand(30, 20, 2)  # 5 columns to the right, 3 rows down
    motion = token_motion(flow, (10, 4))
    torch.testing.assert_close(motion, torch.tensor([[1.0, 1.0]]).expand(40, 2))


def test_pixels_that_are_not_known_are_left_out_and_unknown_tokens_stay() -> None:
    flow = np.full((48, 64, 2), 8, np.float32)
    flow[:3, :8] = np.nan  # less than half of the first token
    flow[0:8, 8:13] = np.inf  # more than half of the second
    motion = token_motion(flow, GRID)
    torch.testing.assert_close(motion[0], torch.tensor([1.0, 1.0]))
    assert motion[1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("shape", [(48, 64), (2, 48, 64), (48, 64, 3), (0, 64, 2)])
def test_flow_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"flow must be \(height, width, 2\)"):
        token_motion(np.zeros(shape, np.float32), GRID)


def test_motions_are_joined_end_to_end() -> None:
    generator = torch.Generator().manual_seed(0)
    motion = 5 * torch.randn(48, 2, generator=generator)
    onwards = 5 * torch.randn(3, 48, 2, generator=generator)
    found = follow(motion, onwards, GRID)
    for y, x in np.ndindex(*GRID):
        dy, dx = motion[y * 8 + x].tolist()
        row = min(max(round(y + dy), 0), 5)
        column = min(max(round(x + dx), 0), 7)
        expected = motion[y * 8 + x] + onwards[:, row * 8 + column]
        torch.testing.assert_close(found[:, y * 8 + x], expected)


def test_what_was_outside_the_frame_is_sought_at_its_border() -> None:
    motion = torch.tensor([[-1000.0, 1000.0]]).expand(48, 2)
    assert places_led_to(motion, GRID).tolist() == [7] * 48


def fast_clip(frames: int, speed: int, backwards: bool = False):
    """Features of a world that moves by ``speed`` tokens per frame; index, features, flow."""
    generator = torch.Generator().manual_seed(0)
    world = torch.randn(24, 12, 20 + speed * frames, generator=generator)
    indices = range(frames)[::-1] if backwards else range(frames)
    flow = np.zeros((96, 160, 2), np.float32)
    flow[..., 0] = 8 * (-speed if backwards else speed)
    for index in indices:
        # The view moves to the right, so what it shows moves to the left.
        yield index, world[:, :, speed * index : speed * index + 20], flow


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("motion", ["none", "flow"])
def test_objects_faster_than_the_window_are_kept_where_flow_is_given(motion, backwards) -> None:
    config = dataclasses.replace(preset("vfs"), radius=2.5, recent=3, motion=motion)
    propagator = Propagator(config)
    mask = np.zeros((96, 160), np.uint8)
    side = slice(32, 64) if backwards else slice(96, 128)
    mask[32:64, side] = 1
    kept = []
    for number, (index, features, flow) in enumerate(fast_clip(4, 4, backwards)):
        if number == 0:
            propagator.annotate(index, features, mask)
            continue
        found = propagator.step(index, features, flow).mask(mask.shape)
        moved = np.roll(mask, (32 if backwards else -32) * number, axis=1)
        kept.append(float((found[moved == 1] == 1).mean()))
    if motion == "flow":
        assert min(kept) > 0.95  # enlarging labels rounds the corners
    else:
        assert max(kept) < 0.5


def test_no_motion_is_the_same_as_none_to_the_bit() -> None:
    mask = blocks((96, 128), [1, 4])
    frames = list(drifting_features(5, (12, 16)))
    still = np.zeros((96, 128, 2), np.float32)
    unknown = np.full((96, 128, 2), np.nan, np.float32)
    wild = np.full((96, 128, 2), 30, np.float32)
    plain = dataclasses.replace(preset("default"), radius=3, motion="none")
    moving = dataclasses.replace(plain, motion="flow")
    results = []
    for config, flow in (
        (plain, None),
        (plain, wild),
        *((moving, f) for f in (None, still, unknown)),
    ):
        propagator = Propagator(config)
        propagator.annotate(0, frames[0], mask)
        results.append([propagator.step(i, f, flow).labels for i, f in enumerate(frames[1:], 1)])
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert torch.equal(one, two)


def test_a_frame_annotated_midway_follows_its_flow_too():
    config = dataclasses.replace(preset("default"), motion="flow", classifier=0)
    generator = torch.Generator().manual_seed(5)
    maps = [torch.randn(8, 6, 9, generator=generator) for _ in range(3)]
    masks = [np.zeros((48, 72), np.uint8) for _ in range(2)]
    masks[0][8:32, 8:32], masks[1][8:32, 24:48] = 1, 1
    flow = np.full((48, 72, 2), (-16, 0), np.float32)
    led = []
    for stepped in (True, False):
        propagator = Propagator(config, engine="reference")
        propagator.annotate(0, maps[0], masks[0])
        if stepped:
            propagator.step(1, maps[1], flow)
        propagator.annotate(1, maps[1], masks[1], objects=[1], flow=None if stepped else flow)
        led.append(propagator.step(2, maps[2], flow).labels)
    torch.testing.assert_close(*led)
