"""The examples of the documentation run, and print figures that hold against the exact sample.

Each is run on one or two clips of the six; the figures of all are in docs/features.md.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import vos
from vos.datasets.sample import sample_tracks

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

pytestmark = pytest.mark.slow


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """``example(name, "park", ...)``: its module, for these clips of the sample."""
    whole = vos.open_dataset

    def load(name: str, *clips: str) -> ModuleType:
        monkeypatch.setattr(vos, "open_dataset", lambda data: whole(data, sequences=clips))
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def printed(capsys: pytest.CaptureFixture[str], row: str) -> list[float]:
    """The numbers of a printed row."""
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(row))
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", line.removeprefix(row))]


def test_a_clicked_point_is_followed(example, capsys, tmp_path: Path) -> None:
    module = example("follow_a_point", "park")
    module.main(tmp_path)
    points, error, within, still, still_within = printed(capsys, "all")
    assert points == 24
    # What standing still gives is a fact of the clip, counted here by itself.
    truth = sample_tracks("park")
    seen = truth.visible.copy()
    seen[0] = False
    away = np.linalg.norm(truth.points - truth.points[0], axis=2)[seen]
    assert still == pytest.approx(np.median(away), abs=0.06)
    assert still_within == pytest.approx(100 * np.mean(away < 8), abs=0.6)
    assert error < 8 < still / 4  # a token is eight pixels wide
    assert within > 60


def test_frames_that_show_a_thing_are_found(example, capsys, tmp_path: Path) -> None:
    example("find_frames", "park", "street").main(tmp_path)
    output = capsys.readouterr().out
    figures = re.findall(r"^(\S+) +mean average precision (\S+) .* order: (\S+)\)", output, re.M)
    assert [model for model, _, _ in figures] == ["icon-resnet18", "lab"]
    for _, found, chance in figures:
        assert 0.3 < float(chance) < 0.6 < float(found) <= 1


def test_three_masks_teach_a_head(example, capsys, tmp_path: Path) -> None:
    example("few_shot", "park").main(tmp_path)
    ours, colours = printed(capsys, "mean")
    assert 0.35 < ours <= 1
    assert 0.05 < colours < ours
