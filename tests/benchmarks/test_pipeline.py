"""`vos bench pipeline`: every stage is there with its time, on the frames that it names."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from vos.cli.app import app
from vos.errors import UsageError


def bench(*options: str):
    command = ["bench", "pipeline", "--model", "lab", *options]
    return CliRunner().invoke(app, command)


def test_stages_with_their_times_and_floors_are_told() -> None:
    settings = ["--set", "recent=3", "--set", "short_side=60", "--set", "enlarge=1"]
    done = bench("--sequence", "drift", "--json", *settings)
    assert done.exit_code == 0, done.output
    speed = json.loads(done.stdout)
    stages = {stage["name"]: stage for stage in speed["stages"]}
    assert list(stages) == ["reading", "flow", "features", "propagation", "masks", "writing"]
    assert all(stage["milliseconds"] > 0 for stage in stages.values())
    assert stages["features"]["floor"] is not None
    assert speed["alone"] == sum(stage["milliseconds"] for stage in stages.values())
    assert speed["frames_per_second"] > 0
    still = bench("--sequence", "drift", "--set", "motion=none", *settings)
    assert "flow" not in still.stdout
    assert "frames per second" in still.stdout


def test_a_sequence_that_is_too_short_is_refused(monkeypatch) -> None:
    monkeypatch.setattr("vos.benchmarks.pipeline.FEWEST", 1000)
    done = bench("--sequence", "drift")
    assert isinstance(done.exception, UsageError)
    assert str(done.exception) == "drift has 28 frames: measuring takes 1000"
