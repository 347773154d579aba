"""Shared fixtures: the real development data where it is, small things that many tests want."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the development data (`VOS_DATA`); tests that want it are skipped without."""
    value = os.environ.get("VOS_DATA")
    if not value:
        pytest.skip("VOS_DATA is not set: it names the folder of the development data")
    root = Path(value)
    if not root.is_dir():
        pytest.skip(f"VOS_DATA names no folder: {root}")
    return root
