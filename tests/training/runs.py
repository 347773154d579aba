"""Runs in processes of their own, and what they left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

import vos
from vos.training import TrainConfig
from vos.training.config import config_text

PROGRAM = """
import sys
from pathlib import Path
from vos.errors import VosError
from vos.training import load_config, train
try:
    train(load_config(sys.argv[1]), Path(sys.argv[2]), device="cpu")
except KeyboardInterrupt:
    sys.exit(130)
"""


def losses(run: Path) -> dict[int, float]:
    rows = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(row) for row in rows]
    assert [row["step"] for row in found] == sorted({row["step"] for row in found})
    return {row["step"]: row["loss"] for row in found}


def weights(run: Path) -> dict[str, torch.Tensor]:
    return vos.load(str(run / "weights")).state_dict()


def assert_same_run(one: Path, two: Path) -> None:
    assert losses(one) == losses(two)
    first, second = weights(one), weights(two)
    assert all(torch.equal(first[key], second[key]) for key in first)


def start(config: TrainConfig, run: Path, tmp_path: Path) -> subprocess.Popen[bytes]:
    """The run in a process of its own."""
    path = tmp_path / "run.yaml"
    path.write_text(config_text(config), encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, str(path), str(run)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def two_processes(config: TrainConfig, tmp_path: Path) -> Path:
    """The folder of the run in two processes of one machine, once it is over."""
    path, program, run = tmp_path / "run.yaml", tmp_path / "program.py", tmp_path / "two"
    path.write_text(config_text(config), encoding="utf-8")
    program.write_text(PROGRAM, encoding="utf-8")
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
        *(str(program), str(path), str(run)),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    subprocess.run(command, env=environment, check=True, timeout=120, capture_output=True)
    return run


def killed_at(step: int, config: TrainConfig, run: Path, tmp_path: Path) -> None:
    """Start the run and kill it, after ``step`` and before its end."""
    process = start(config, run, tmp_path)
    wait_for_step(run, step)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=20) == -signal.SIGKILL
    assert len(losses(run)) < config.steps


def wait_for_step(run: Path, step: int) -> None:
    for _ in range(600):
        path = run / "metrics.jsonl"
        if path.is_file() and len(path.read_text(encoding="utf-8").splitlines()) >= step:
            return
        time.sleep(0.1)
    raise AssertionError(f"no step {step} after a minute")
