"""`vos train` as a user meets it: dry run, JSON, defaults, one line for each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from vos.cli.train import train
from vos.errors import MissingError, UsageError
from vos.media.images import write_image
from vos.training import shipped_configs

FAST = [
    *("--device", "cpu", "--set", "steps=2", "--set", "batch=2", "--set", "crop.size=32"),
    *("--set", "data.cache=memory", "--set", "model.backbone=resnet18,layer=1,stride=4"),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for index in range(3):
        frame = random.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        write_image(tmp_path / "data" / "clip" / f"{index:03d}.png", frame)
    return tmp_path / "data"


def run(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(train)
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_trains_and_reports_in_json(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    text = run("icon-resnet18", "--data", str(data), "--out", str(out), "--json", *FAST)
    result = json.loads(text)
    assert result["steps"] == 2
    assert Path(result["weights"]) == out / "weights"
    assert (out / "weights" / "model.safetensors").is_file()
    assert result["loss"] > 0


def test_the_run_folder_defaults_to_the_name(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = run("icon-resnet18", "--data", str(data), *FAST)
    assert "2 steps" in text
    assert str(Path("runs/icon-resnet18/weights")) in text
    assert (tmp_path / "runs" / "icon-resnet18" / "config.yaml").is_file()


def test_a_dry_run_shows_the_config_and_writes_nothing(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    text = run("icon-resnet18", "--data", str(data), "--out", str(out), "--seed", "9", "--dry-run")
    assert "seed: 9" in text
    assert "1 clips" in text
    assert not out.exists()


def test_mistakes(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pass --data"):
        run("icon-resnet18")
    with pytest.raises(MissingError, match="nowhere"):
        run("icon-resnet18", "--data", str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=r"did you mean crop\.size"):
        run("icon-resnet18", "--data", str(data), "--set", "crop.sice=3")
    with pytest.raises(UsageError, match="batch 3 cannot be shared"):
        run("icon-resnet18", "--data", str(data), "--set", "batch=3", "--devices", "2")


def test_the_shipped_configs_are_listed() -> None:
    found = json.loads(run("--list", "--json"))
    assert set(found) == set(shipped_configs())
    assert "weights that vos ships" in found["icon-resnet18"]
    with pytest.raises(UsageError, match="vos train --list"):
        run()
