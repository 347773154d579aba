"""Jobs of small steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from steps import Step

from vos.scheduling import Task


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., list[Task]]:
    """``job("fine", "poison", ...)``: tasks called after their number and kind."""

    def make(*kinds: str, seconds: float = 0.0) -> list[Task]:
        return [
            Task(f"{number}-{kind}", Step(kind, number, tmp_path, seconds))
            for number, kind in enumerate(kinds)
        ]

    return make


@pytest.fixture
def tries(tmp_path: Path) -> Callable[[int], int]:
    """How often a step was begun."""
    return lambda number: len((tmp_path / f"{number}").read_text().splitlines())
