"""`vos probe` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vos.cli.app import app
from vos.errors import MissingError, UsageError

MODEL = "cmc-alexnet,stem=5,stem_stride=2,width=0.25,hidden=16,dim=8,pool=2"


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """Reddish and bluish noise: classes that colour tells apart."""
    random = np.random.default_rng(0)
    values = {}
    for part, count in (("train", 40), ("test", 20)):
        labels = np.arange(count) % 2
        pixels = random.integers(0, 120, (count, 16, 16, 3))
        pixels[np.arange(count), :, :, 2 * labels] += 100
        values[f"{part}_images"], values[f"{part}_labels"] = pixels.astype(np.uint8), labels
    np.savez(tmp_path / "colours.npz", **values)
    return tmp_path / "colours.npz"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["probe", "--device", "cpu", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_row_a_kind_of_features(colours: Path) -> None:
    found = json.loads(run("--model", MODEL, "--data", str(colours), "--json"))
    assert list(found["features"]) == ["z1", "z2", "z", "map"]
    assert (found["train_images"], found["test_images"]) == (40, 20)
    assert found["features"]["z2"]["linear"] == 1  # ab sees the colour even untrained
    assert 0 <= found["features"]["z1"]["neighbours"] <= 1


def test_the_table_and_a_subset(colours: Path) -> None:
    text = run("--model", "lab", "--data", str(colours), "--per-class", "5", "--pool", "1")
    assert text.splitlines()[0].split() == ["features", "channels", "linear", "k-NN"]
    assert text.splitlines()[1].split()[:3] == ["map", "192", "1.000"]
    assert "10 training and 20 test images, 2 classes" in text


def test_mistakes(colours: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no labelled images"):
        run("--data", str(tmp_path / "none.zip"))
    with pytest.raises(UsageError, match="no features 'z'"):
        run("--model", "lab", "--data", str(colours), "--features", "z")
