"""`vos data`: what it prints, and the code it ends with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from vos.cli.data import app
from vos.errors import MissingError, UsageError
from vos.media.masks import write_mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "my davis"
    (root / "ImageSets/2017").mkdir(parents=True)
    (root / "ImageSets/2017/val.txt").write_text("ant\n")
    (root / "JPEGImages/480p/ant").mkdir(parents=True)
    mask = np.zeros((20, 30), np.uint8)
    mask[5:9, 5:9] = 1
    for index in range(3):
        Image.new("RGB", (30, 20)).save(root / f"JPEGImages/480p/ant/{index:05d}.jpg")
        write_mask(root / f"Annotations/480p/ant/{index:05d}.png", mask)
    return root


def test_check_says_whole_and_ends_with_zero(folder):
    result = CliRunner().invoke(app, ["check", str(folder)])
    assert result.exit_code == 0
    assert "whole (1 sequences, 3 frames, 3 masks; splits val)" in result.stdout


def test_check_lists_problems_counts_them_and_ends_with_one(folder):
    (folder / "JPEGImages/480p/ant/00001.jpg").write_bytes(b"")
    (folder / "Annotations/480p/ant/00002.png").unlink()
    result = CliRunner().invoke(app, ["check", str(folder)])
    assert result.exit_code == 1
    first, second, verdict = result.stdout.splitlines()
    assert "00001.jpg: is empty" in first
    assert "00002.png: the mask is missing" in second
    assert verdict.startswith(f"{folder}: 2 problems")


def test_check_json_is_alone_on_standard_output(folder):
    (folder / "JPEGImages/480p/ant/00001.jpg").write_bytes(b"")
    result = CliRunner().invoke(app, ["check", str(folder), "--json", "--split", "val"])
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["sequences"] == 1 and report["splits"] == ["val"]
    assert [Path(problem["path"]).name for problem in report["problems"]] == ["00001.jpg"]


def test_check_of_nothing_raises_for_the_command_to_print(tmp_path):
    result = CliRunner().invoke(app, ["check", str(tmp_path / "nowhere")])
    assert isinstance(result.exception, MissingError)


def test_sample_writes_a_folder(tmp_path):
    result = CliRunner().invoke(app, ["sample", str(tmp_path / "out")])
    assert result.exit_code == 0
    assert (tmp_path / "out/Annotations/480p/drift/00027.png").is_file()


def test_download_of_an_unknown_data_set():
    result = CliRunner().invoke(app, ["download", "davis2017"])
    assert isinstance(result.exception, UsageError)
    assert "davis-2017" in str(result.exception)
