"""Devices by name."""

from __future__ import annotations

import pytest
import torch

from vos.errors import MissingError, UsageError
from vos.machine import resolve_device


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
