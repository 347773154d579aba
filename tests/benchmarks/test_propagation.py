"""`vos bench propagation`: cases, counts and the picture (never the timings)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vos.benchmarks.plots import plot_propagation
from vos.benchmarks.propagation import (
    Case,
    PropagationSpeed,
    bench_propagation,
    cut_into_parts,
    default_cases,
    measure,
)


def test_parts_have_equal_area_and_cover_the_object() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[3:15, 5:25] = 1
    mask[0, 0] = 255
    parts = cut_into_parts(mask, 7)
    assert ((parts > 0) == (mask == 1)).all()
    areas = np.bincount(parts.ravel())[1:]
    assert len(areas) == 7
    assert areas.max() - areas.min() <= 1


@pytest.mark.parametrize("engine", ["cpu", "reference"])
def test_work_is_counted_by_the_places_in_the_windows(engine: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    np.save(tmp_path / "features.npy", random.normal(size=(5, 8, 6, 9)).astype(np.float32))
    mask = np.zeros((48, 72), np.uint8)
    mask[10:30, 10:40] = 1
    np.save(tmp_path / "mask.npy", mask)
    case = Case("vfs", recent=3, objects=2, short_side=48, frames=12, engine=engine)
    speed = measure(case, tmp_path)
    pairs = sum(
        np.hypot(y - ky, x - kx) < 12 for y, x, ky, kx in np.ndindex(6, 9, 6, 9)
    )  # of a token and a place of one context frame
    assert speed.gflops * speed.propagation * 1e9 == pytest.approx(2 * pairs * 4 * 8)
    assert speed.grid == (6, 9)
    assert 0 < speed.propagation < speed.seconds


@pytest.mark.slow
def test_a_case_runs_in_a_process_of_its_own() -> None:
    (speed,) = bench_propagation([Case("crw", 2, 3, 96, 6)], model="lab")
    assert speed.memory_mb > 50
    assert speed.grid == (12, 22)


def test_every_growth_is_drawn(tmp_path: Path) -> None:
    speeds = [
        PropagationSpeed(case, 0.5, 0.4, 300.0, (60, 107), 10.0, 100.0)
        for case in default_cases("crw", 40)
    ]
    plot_propagation(speeds, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes()[:4] == b"\x89PNG"
