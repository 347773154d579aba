"""`vos equivariance` says what a backbone promises and what it keeps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vos.media.images import write_image


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "une image.png"
    write_image(path, np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8))
    return path


MODEL = "rotation-unet-c4,width=4,levels=2"


def test_says_measures_and_writes(vos_command, picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = vos_command(
        "equivariance", "--model", MODEL, "--images", picture, "--side", 32, "--out", out
    )
    assert ended.code == 0, ended.err
    assert f"{MODEL} says: rotation C4 (exact)" in ended.out
    lines = {line[2:20].strip(): line.split()[-1] for line in ended.out.splitlines()[2:]}
    assert lines["quarter turns"] == "exact"
    assert sorted(item.name for item in out.iterdir()) == [
        "equivariance.csv", "equivariance.json", "equivariance.png",
    ]  # fmt: skip


def test_json_alone_on_stdout(vos_command, picture: Path) -> None:
    ended = vos_command(
        "equivariance", "--model", "lab", "--images", picture, "--side", 48, "--json"
    )
    told = json.loads(ended.out)
    assert told["summary"]["shift by a token"] < 1e-9
    assert told["broken"] == {}


def test_mistakes_are_one_line(vos_command, tmp_path: Path) -> None:
    assert "did you mean" in vos_command("equivariance", "--model", "rotation-unet-c9").complaint
    missing = vos_command("equivariance", "--model", "lab", "--images", tmp_path / "none")
    assert missing.code == 3
    assert "no image at" in missing.complaint
    small = vos_command("equivariance", "--model", "resnet18", "--side", 16)
    assert small.code == 2
    assert "too small for stride 8" in small.complaint
