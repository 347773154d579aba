"""Starting and stopping: batches that cannot fit, signals in the middle of a step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from vos.errors import UsageError
from vos.training import launch
from vos.training.config import load_config


def test_a_batch_that_cannot_fit_is_refused_by_its_size() -> None:
    config = load_config("icon-resnet18", ["batch=1000000", "crop.size=128"])
    with pytest.raises(UsageError, match=r"images take 732\.4 GiB, and [\d.]+ GiB are free"):
        launch.launch(config, "cpu", 1)  # 1e6 pairs x 4 draws x 3 x 128 x 128 x 4 bytes


def test_parts_and_processes_share_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "available_memory", lambda: 4 * 2**20)
    fits = ["batch=20", "crop.size=128"]  # 20 x 4 x 3 x 128 x 128 x 4 = 15 MiB
    with pytest.raises(UsageError, match="batch 20 does not fit"):
        launch.launch(load_config("icon-resnet18", fits), "cpu", 1)
    launch.launch(load_config("icon-resnet18", [*fits, "optimiser.accumulate=4"]), "cpu", 1)


def test_a_step_ends_before_the_run_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "GRACE", 0.2)
    with launch.stop_on_signal() as stop:
        assert not stop.asked()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked()  # the step was over in time
        time.sleep(0.5)  # and what is saved now is not cut short


def test_a_long_step_is_cut_short_after_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "GRACE", 0.2)
    with pytest.raises(KeyboardInterrupt), launch.stop_on_signal():
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(300):
            time.sleep(0.1)


def test_one_long_operation_ends_with_its_process() -> None:
    program = (
        "import hashlib, os, signal, threading\n"
        "from vos.training import launch\n"
        "launch.GRACE = 0.2\n"
        "with launch.stop_on_signal():\n"
        "    threading.Timer(1, os.kill, (os.getpid(), signal.SIGTERM)).start()\n"
        "    hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)\n"  # as long as a convolution may take
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "vos: interrupted in the middle of a step"


def test_a_second_ctrl_c_stops_the_step(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(KeyboardInterrupt), launch.stop_on_signal():
        os.kill(os.getpid(), signal.SIGINT)
        assert "Ctrl-C again" in caplog.text
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
