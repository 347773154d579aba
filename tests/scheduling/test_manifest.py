"""The manifest tells what is done and what failed, after any end of the driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from vos.errors import UsageError, VosError
from vos.scheduling import Manifest, Task
from vos.scheduling.tasks import Done, Failed

SETTINGS = {"model": "lab", "sizes": (1, 2)}


def test_the_last_word_on_a_task_counts(tmp_path: Path) -> None:
    path = tmp_path / "out" / "manifest.jsonl"
    manifest = Manifest.open(path, SETTINGS)
    manifest.note(Task("é a", None), Failed(0, VosError("no video"), again=False), 1)
    manifest.note(Task("b", None), Done(1, {"frames": 3}, where="host 4"), 2)
    assert manifest.failed == {"é a": "no video"}
    again = Manifest.open(path, SETTINGS)
    assert again.entries == manifest.entries
    assert again.is_done("b") and not again.is_done("é a") and not again.is_done("c")
    again.note(Task("é a", None), Done(0, {"frames": 1}), 1)
    last = Manifest.open(path, SETTINGS)
    assert last.is_done("é a") and last.failed == {}
    assert last.entries["b"] == {
        "name": "b",
        "state": "done",
        "frames": 3,
        "attempts": 2,
        "worker": "host 4",
    }
    assert Manifest.open(path, SETTINGS, overwrite=True).entries == {}


def test_a_line_half_written_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    manifest = Manifest.open(path, SETTINGS)
    manifest.note(Task("a", None), Done(0), 1)
    with path.open("a") as file:
        file.write('{"name": "b", "sta')
    again = Manifest.open(path, SETTINGS)
    assert list(again.entries) == ["a"]
    again.note(Task("c", None), Done(0), 1)
    assert list(Manifest.open(path, SETTINGS).entries) == ["a", "c"]


def test_another_job_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    Manifest.open(path, SETTINGS)
    with pytest.raises(UsageError, match=r"another model \(lab, now resnet18\).*--overwrite"):
        Manifest.open(path, {**SETTINGS, "model": "resnet18"})
    path.write_text("shopping\n")
    with pytest.raises(UsageError, match="not the manifest"):
        Manifest.open(path, SETTINGS)
