"""Devices by name, and processes by number."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest
import torch

from vos.errors import MissingError, UsageError
from vos.machine import is_running, resolve_device


def test_devices_that_there_are_not_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(MissingError, match="no device cuda:2 on this machine: it has 2"):
        resolve_device("cuda:2")
    for name in ("cuda:x", "cuda:", "cpu:x"):
        with pytest.raises(UsageError, match="unknown device"):
            resolve_device(name)
    with pytest.raises(UsageError, match="did you mean cuda"):
        resolve_device("cudda")


def test_a_process_is_known_by_its_number_and_its_beginning() -> None:
    own = psutil.Process()
    assert is_running(own.pid, own.create_time())
    assert not is_running(own.pid, own.create_time() - 60), "another had the number before"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        began = psutil.Process(other.pid).create_time()
        assert is_running(other.pid, began)
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert not is_running(other.pid, began), "it has ended, though its parent has not asked"
    assert not is_running(other.pid, began)
