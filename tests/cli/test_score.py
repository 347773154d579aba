"""`vos score`: figures and tables for good results, one line and a code for bad ones."""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from vos.cli.score import score
from vos.errors import InvalidResultsError, MissingError, UsageError
from vos.media.masks import write_mask

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(score)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A DAVIS-2017 folder of two sequences of six frames, in a path with a space."""
    root = tmp_path / "DAVIS 2017"
    for name in ("bear", "goat"):
        for index in range(6):
            image = root / "JPEGImages" / "480p" / name / f"{index:05d}.jpg"
            image.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (64, 48), (60, 90, 60)).save(image)
            mask = np.zeros((48, 64), np.uint8)
            mask[5:15, 5 + index : 15 + index] = 1
            mask[25:40, 40 - index : 55 - index] = 2
            write_mask(root / "Annotations" / "480p" / name / f"{index:05d}.png", mask)
    lists = root / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("bear\ngoat\n")
    return root


def run(results: Path, root: Path, *more: str) -> Result:
    arguments = [str(results), "--dataset", "davis", "--root", str(root), *more]
    return CliRunner().invoke(app, arguments)


def test_truth_scores_100_and_tables_are_written(root: Path, tmp_path: Path) -> None:
    results = root / "Annotations" / "480p"
    result = run(results, root)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1].split()[:3] == ["all", "objects", "100.0"]
    assert "1.000000000" in (results / "global_results-val.csv").read_text()
    assert (results / "per-sequence_results-val.csv").read_text().count("\n") == 5


def test_json_is_alone_on_standard_output(root: Path) -> None:
    result = run(root / "Annotations" / "480p", root, "--json")
    record = json.loads(result.stdout)
    assert record["J&F"] == 1
    assert record["J"] == {"mean": 1, "recall": 1, "decay": 0}
    assert record["objects"]["goat_2"] == {"J": 1, "F": 1}
    assert record["masks"] == 12


def test_chosen_sequences_only(root: Path) -> None:
    result = run(root / "Annotations" / "480p", root, "--json", "--sequences", "goat")
    assert set(json.loads(result.stdout)["objects"]) == {"goat_1", "goat_2"}


def test_unknown_sequence_offers_near_names(root: Path) -> None:
    result = run(root / "Annotations" / "480p", root, "--sequences", "goad")
    assert isinstance(result.exception, UsageError)
    assert "goat" in str(result.exception)


def test_invalid_results_write_nothing(root: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    for index in range(6):
        write_mask(results / "bear" / f"{index:05d}.png", np.zeros((48, 64), np.uint8))
    result = run(results, root)
    assert isinstance(result.exception, InvalidResultsError)
    assert result.exception.exit_code == 4
    assert "goat" in str(result.exception)
    assert result.stdout == ""
    assert sorted(path.name for path in results.iterdir()) == ["bear"]


def test_official_scorer_that_is_not_installed_says_how_to_get_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "davis2017" else find_spec(name, *rest),
    )
    result = run(root / "Annotations" / "480p", root, "--scorer", "official")
    assert isinstance(result.exception, MissingError)
    assert "pip install git+https" in str(result.exception)


def test_official_scorer_is_shown_beside_ours(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in of the same interface that knows one thing: the truth scores 1."""

    class Evaluation:
        def __init__(self, root: str, task: str, subset: str, sequences: list[str]) -> None:
            assert (task, subset, sequences) == ("semi-supervised", "val", ["bear", "goat"])
            self.names = [path.name for path in sorted(Path(root, "Annotations/480p").iterdir())]
            assert len(list(Path(root, "JPEGImages/480p/bear").glob("*.jpg"))) == 6

        def evaluate(self, results: str) -> dict[str, dict[str, object]]:
            assert len(list(Path(results, "goat").glob("*.png"))) == 6
            means = {f"{name}_{each}": 0.75 for name in self.names for each in (1, 2)}
            measure = {"M": [0.75] * 4, "R": [1.0] * 4, "D": [0.0] * 4, "M_per_object": means}
            return {"J": measure, "F": measure}

    package, module = types.ModuleType("davis2017"), types.ModuleType("davis2017.evaluation")
    package.__spec__ = importlib.util.spec_from_loader("davis2017", loader=None)
    module.DAVISEvaluation = Evaluation  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "davis2017", package)
    monkeypatch.setitem(sys.modules, "davis2017.evaluation", module)
    result = run(root / "Annotations" / "480p", root, "--scorer", "official", "--json")
    record = json.loads(result.stdout)
    assert record["official"]["J&F-Mean"] == 0.75
    assert record["largest_difference"] == 0.25
