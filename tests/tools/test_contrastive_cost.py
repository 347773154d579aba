"""The benchmark of a contrastive step measures what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bench_contrastive import (
    SCENES,
    Case,
    ContrastiveSpeed,
    bench_contrastive,
    default_cases,
    plot_contrastive,
)

from vos.errors import VosError


def test_a_case_is_measured_in_a_process_of_its_own() -> None:
    case = Case(64, 500, "sample", batch=8, dim=16, repeats=2)
    (speed,) = bench_contrastive([case])
    assert speed.case == case
    assert speed.seconds > 0
    assert speed.bank_mb == pytest.approx(2 * 500 * 16 * 4 / 2**20)


def test_cases_vary_one_thing_at_a_time() -> None:
    cases = default_cases("batch", "softmax")
    assert {case.scenes for case in cases[:5]} == {SCENES[0]}
    assert {case.negatives for case in cases[5:]} == {4096}


def test_mistakes() -> None:
    with pytest.raises(VosError, match="two scenes"):
        list(bench_contrastive([Case(4, 1, "batch")]))
    ended = subprocess.run(
        [sys.executable, bench_contrastive.__code__.co_filename, "--draw", "sampel"],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    assert "choose from 'batch', 'sample'" in ended.stderr


def test_the_figure_has_both_growths(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    speeds = [
        ContrastiveSpeed(case, 1e-6 * case.negatives, 0.01 * case.negatives, 1e-3 * case.scenes)
        for case in default_cases("batch", "nce")
    ]
    plot_contrastive(speeds, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 10_000
