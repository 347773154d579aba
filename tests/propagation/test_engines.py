"""Every engine gives the masks of the plain reference."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from toy_clips import blocks, drifting_features, run

from vos.errors import UsageError
from vos.machine import triton_works
from vos.propagation import PRESETS, Propagator, preset
from vos.propagation.engines.choose import engine_for


@pytest.mark.parametrize("engine", ["cpu", "tiled"])
@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("grid", [(30, 53), (17, 9)])
def test_engine_equals_reference(engine, name, grid):
    expected, expected_labels = run(preset(name), "reference", grid, [1, 4, 9])
    found, found_labels = run(preset(name), engine, grid, [1, 4, 9])
    assert (found == expected).mean() >= 0.9999
    for ours, theirs in zip(found_labels, expected_labels, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)


def test_small_window_settles_most_tokens_and_stays_exact():
    config = dataclasses.replace(preset("vfs"), radius=3)
    expected, _ = run(config, "reference", (40, 40), [3])
    found, _ = run(config, "cpu", (40, 40), [3])
    assert (found == expected).mean() >= 0.9999


@pytest.mark.parametrize("engine", ["cpu", "tiled"])
@pytest.mark.parametrize("name", ["crw", "vfs", "dino"])
def test_prior_on_motion_is_the_same_in_every_engine(engine, name):
    config = dataclasses.replace(preset(name), motion_sigma=2.5)
    expected, expected_labels = run(config, "reference", (24, 31), [1, 4])
    found, found_labels = run(config, engine, (24, 31), [1, 4])
    assert (found == expected).mean() >= 0.9999
    for ours, theirs in zip(found_labels, expected_labels, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)


def test_a_cut_to_another_scene_stays_exact():
    first = list(drifting_features(5, (20, 24), channels=96, seed=0))
    second = list(drifting_features(5, (20, 24), channels=96, seed=1))
    directions = torch.linspace(1, 0, 96)[:, None, None] ** 4  # few are long, and others later
    frames = [f * directions for f in first] + [f * directions.flip(0) for f in second]
    mask = blocks((160, 192), [1, 2])
    found = []
    for engine in ("reference", "cpu"):
        propagator = Propagator(preset("crw"), engine=engine)
        propagator.annotate(0, frames[0], mask)
        found.append([propagator.step(i, f).labels for i, f in enumerate(frames[1:], start=1)])
    for plain, fast in zip(*found, strict=True):
        torch.testing.assert_close(fast, plain, atol=2e-5, rtol=0)


@pytest.mark.parametrize("engine", ["cpu", "tiled"])
def test_more_neighbours_than_places(engine):
    config = dataclasses.replace(preset("vfs"), radius=1, neighbours=50)
    expected, _ = run(config, "reference", (6, 7), [1])
    found, _ = run(config, engine, (6, 7), [1])
    np.testing.assert_array_equal(found, expected)


def test_unknown_engine_is_named():
    with pytest.raises(UsageError, match="did you mean reference"):
        engine_for(torch.device("cpu"), "referense")


def flows(kind, grid, frames):
    """Flow of every frame but the first: (8 h, 8 w, 2), in pixels."""
    generator = np.random.default_rng(5)
    size = (8 * grid[0], 8 * grid[1])
    for _ in range(1, frames):
        if kind == "smooth":
            coarse = generator.normal(8, 8, (3, 3, 2)).astype(np.float32)
            yield cv2.resize(coarse, size[::-1])
        elif kind == "every token elsewhere":
            tokens = generator.normal(0, 40, (*grid, 2)).astype(np.float32)
            yield tokens.repeat(8, 0).repeat(8, 1)
        elif kind == "far":
            yield np.full((*size, 2), 8 * 14, np.float32)
        else:
            flow = np.full((*size, 2), 8, np.float32)
            flow[: size[0] // 2] = -1e6
            flow[:, : size[1] // 3] = np.nan
            yield flow


@pytest.mark.parametrize("engine", ["cpu", "tiled"])
@pytest.mark.parametrize("name", ["default", "crw", "dino"])
@pytest.mark.parametrize("kind", ["smooth", "every token elsewhere", "far", "out of the frame"])
def test_motion_is_the_same_in_every_engine(engine, name, kind):
    grid = (14, 18)
    config = dataclasses.replace(preset(name), motion="flow", radius=5)
    if name == "dino":
        config = dataclasses.replace(config, motion_sigma=2.5)
    given = [None, *flows(kind, grid, 6)]
    expected, expected_labels = run(config, "reference", grid, [1, 4, 9], frames=6, flows=given)
    found, found_labels = run(config, engine, grid, [1, 4, 9], frames=6, flows=given)
    assert (found == expected).mean() >= 0.9999
    for ours, theirs in zip(found_labels, expected_labels, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)
    if kind == "smooth" and config.motion_sigma is not None:  # distances count, so flow does too
        still = dataclasses.replace(config, motion="none")
        assert (found != run(still, "cpu", grid, [1, 4, 9], frames=6)[0]).any()


def test_small_windows_take_nothing_from_outside():
    config = dataclasses.replace(preset("vfs"), radius=1, neighbours=5)
    expected, expected_labels = run(config, "reference", (12, 13), [1, 2])
    found, found_labels = run(config, "cpu", (12, 13), [1, 2])
    for ours, theirs in zip(found_labels, expected_labels, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)
    np.testing.assert_array_equal(found, expected)


def test_the_engine_of_processors_is_for_processors():
    with pytest.raises(UsageError, match="not for cuda"):
        engine_for(torch.device("cuda"), "cpu")


def test_a_gpu_without_a_compiler_is_served_by_tiles(monkeypatch, caplog):
    from triton.runtime import driver

    class NoCompiler:
        def get_current_device(self):
            raise RuntimeError("Failed to find C compiler.\nMore of it.")

    monkeypatch.setattr(type(driver), "active", NoCompiler())
    triton_works.cache_clear()
    device = torch.device("cuda")
    try:
        assert engine_for(device).__name__.endswith("tiled")
        with pytest.raises(UsageError, match="where Triton works"):
            engine_for(device, "triton")
    finally:
        triton_works.cache_clear()
    (said,) = [record.message for record in caplog.records]
    assert "Failed to find C compiler" in said and "gcc" in said and "More of it" not in said
