"""`vos export`: one command from a video to arrays and pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import vos
from vos.cli.app import app
from vos.errors import MissingError, UsageError
from vos.media import read_image, write_image


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A folder of six frames, 54 x 41."""
    random = np.random.default_rng(0)
    for index in range(6):
        frame = random.integers(0, 256, (41, 54, 3), np.uint8)
        write_image(tmp_path / "clip" / f"{index:05d}.png", frame)
    return tmp_path / "clip"


def run(*arguments: object) -> Result:
    words = ["export", *map(str, arguments), "--model", "lab", "--device", "cpu"]
    return CliRunner().invoke(app, words)


def test_features_and_pictures_in_one_command(clip: Path, tmp_path: Path) -> None:
    out, pca, similar = (tmp_path / name for name in ("clip.zarr", "pca.png", "similar.png"))
    result = run(
        *(clip, "--out", out, "--every", 2, "--pca", pca),
        *("--similar", similar, "--point", "2:20,10", "--json"),
    )
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["frames"] == record["computed"] == 3
    assert record["videos"][0]["shape"] == [3, 192, 6, 7]
    assert record["pictures"] == [str(pca), str(similar)]
    assert record["weights_sha256"] == vos.open_features(out).attributes["weights_sha256"]
    assert read_image(similar).shape == (41, 3 * 54 + 2 * 4, 3)

    again = run(clip, "--out", out, "--every", 2)
    assert again.exit_code == 0
    assert "0 of 3 frames computed" in again.stdout


def test_dry_run_says_what_and_writes_nothing(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.zarr"
    result = run(clip, "--out", out, "--precision", "float32", "--dry-run", "--json")
    plan = json.loads(result.stdout)
    assert plan["videos"][0]["shape"] == [6, 192, 6, 7]
    assert plan["videos"][0]["bytes"] == 6 * 192 * 6 * 7 * 4
    assert "would write" in run(clip, "--out", out, "--dry-run").stdout
    assert not out.exists()


def test_bad_input_is_one_line(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.zarr"
    cases: list[tuple[tuple[object, ...], type[Exception], str]] = [
        ((clip, clip, "--out", out, "--pca", tmp_path / "p.png"), UsageError, "of one video"),
        ((clip, "--out", out, "--pca", tmp_path / "p.gif"), UsageError, "a picture is"),
        ((clip, "--out", out, "--similar", tmp_path / "s.png"), UsageError, "go together"),
        ((clip, "--out", tmp_path / "x.tar"), UsageError, "--out takes"),
        ((tmp_path / "no.mp4", "--out", out), MissingError, "there is no video"),
    ]
    for arguments, kind, words in cases:
        result = run(*arguments)
        assert isinstance(result.exception, kind)
        assert words in str(result.exception)
        assert "\n" not in str(result.exception)
        assert not out.exists()
