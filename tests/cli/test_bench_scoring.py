"""`vos bench scoring`: what it measures is there, with or without the official code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from vos.benchmarks.scoring import write_lagging_results
from vos.cli.bench import app as bench
from vos.datasets import open_dataset
from vos.media.masks import read_palette_mask, write_mask

app = typer.Typer()
app.add_typer(bench, name="bench")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A DAVIS-2016 folder of one sequence of eight frames."""
    pairs = []
    for index in range(8):
        image = f"JPEGImages/480p/bear/{index:05d}.jpg"
        mask = f"Annotations/480p/bear/{index:05d}.png"
        (tmp_path / image).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48)).save(tmp_path / image)
        values = np.zeros((48, 64), np.uint8)
        values[10:30, 5 + index : 25 + index] = 255
        write_mask(tmp_path / mask, values)
        pairs.append(f"/{image} /{mask}\n")
    lists = tmp_path / "ImageSets" / "480p"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("".join(pairs))
    return tmp_path


def test_speed_is_measured_on_lagging_results(root: Path) -> None:
    arguments = ["bench", "scoring", "--dataset", "davis", "--year", "2016", "--root", str(root)]
    result = CliRunner().invoke(app, [*arguments, "--repeats", "1", "--json"])
    record = json.loads(result.stdout)
    assert record["masks"] == 8
    assert record["fps"] == pytest.approx(8 / record["seconds"])
    assert (record["ratio"] is None) == (record["official_seconds"] is None)


def test_lagging_results_are_the_truth_of_five_frames_before(root: Path, tmp_path: Path) -> None:
    dataset = open_dataset("davis", root=root, year=2016)
    write_lagging_results(tmp_path / "results", dataset)
    for index in range(8):
        expected = dataset.sequences[0].mask(max(0, index - 5))
        written = read_palette_mask(tmp_path / "results" / "bear" / f"{index:05d}.png")
        np.testing.assert_array_equal(written, expected)
