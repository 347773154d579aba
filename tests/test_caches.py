"""Caches that cannot be written do not stop the work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vos import caches
from vos.caches import cache_folder, give_libraries_a_cache


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go; no variable says where caches are."""
    for name in ("VOS_CACHE", "XDG_CACHE_HOME", "MPLCONFIGDIR", "TRITON_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    caches._temporary_cache.cache_clear()
    caches._warn_of.cache_clear()
    yield tmp_path / "tmp"
    caches._temporary_cache.cache_clear()


@pytest.fixture
def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that nobody can make, root neither: its parent is a file."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path / "file" / "home"))


def test_variables_say_where_the_cache_is(temporary, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder("a") == tmp_path / "home/.cache/vos/a"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "theirs"))
    assert cache_folder("a") == tmp_path / "theirs/vos/a"
    monkeypatch.setenv("VOS_CACHE", str(tmp_path / "mine"))
    assert cache_folder("a") == tmp_path / "mine/a"


def test_without_a_home_a_private_folder_takes_its_place(temporary, no_home, caplog) -> None:
    folder = cache_folder("a")
    assert folder == temporary / f"vos-cache-{os.getuid()}/vos/a"
    assert (temporary / f"vos-cache-{os.getuid()}").stat().st_mode & 0o777 == 0o700
    assert cache_folder("b").parent == folder.parent
    [record] = caplog.records  # once
    assert "VOS_CACHE" in record.getMessage()


def test_a_folder_that_others_may_write_is_not_trusted(temporary, no_home) -> None:
    planted = temporary / f"vos-cache-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    assert planted not in cache_folder("a").parents


def test_libraries_get_the_same_folder(temporary, no_home, monkeypatch, caplog) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", os.environ["HOME"])  # restored after the test
    monkeypatch.setenv("MPLCONFIGDIR", "theirs")
    monkeypatch.setenv("TRITON_CACHE_DIR", "")
    monkeypatch.delenv("TRITON_CACHE_DIR")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "theirs")
    give_libraries_a_cache()
    folder = temporary / f"vos-cache-{os.getuid()}"
    assert os.environ["XDG_CACHE_HOME"] == str(folder)
    assert os.environ["MPLCONFIGDIR"] == "theirs"
    assert os.environ["TRITON_CACHE_DIR"] == str(folder / "triton")
    assert not caplog.records  # nothing of ours was made yet
    assert cache_folder("a") == folder / "vos/a"
    assert len(caplog.records) == 1


KERNEL = """
from vos.compiled import compiled

@compiled(fastmath=True)
def add(a, b):
    return a + b

print(add(1, 2), add._cache_hits.total(), add._cache_misses.total())
"""


def run_kernel(folder: Path, **variables: object) -> str:
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    done = subprocess.run(
        [sys.executable, "kernel.py"],
        cwd=folder,
        env=environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_compiled_code_is_kept_beside_the_source_or_in_the_cache_or_not_at_all(
    temporary, no_home, tmp_path: Path
) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "kernel.py").write_text(KERNEL)
    assert run_kernel(folder) == "3 0 1"
    assert run_kernel(folder) == "3 1 0"
    damaged = next((folder / "__pycache__").glob("*.nbi"))
    damaged.write_bytes(b"")
    assert run_kernel(folder) == "3 0 1"  # compiled anew
    for path in (folder / "__pycache__").iterdir():
        path.unlink()
    (folder / "__pycache__").rmdir()
    (folder / "__pycache__").write_text("")  # cannot be written, by root neither
    assert run_kernel(folder, VOS_CACHE=tmp_path / "cache") == "3 0 1"
    assert run_kernel(folder, VOS_CACHE=tmp_path / "cache") == "3 1 0"
    assert [run_kernel(folder, VOS_CACHE=os.environ["HOME"]) for _ in range(2)] == ["3 0 1"] * 2


CALLED = """
from vos.compiled import compiled

@compiled()
def step():
    return {}
"""

CALLER = """
from called import step
from vos.compiled import compiled

@compiled()
def twice():
    return 2 * step()

print(twice(), twice._cache_hits.total())
"""


def test_compiled_code_is_made_anew_when_what_it_calls_has_changed(tmp_path: Path) -> None:
    (tmp_path / "kernel.py").write_text(CALLER)
    (tmp_path / "called.py").write_text(CALLED.format(1))
    assert [run_kernel(tmp_path) for _ in range(2)] == ["2 0", "2 1"]
    (tmp_path / "called.py").write_text(CALLED.format(10))
    assert run_kernel(tmp_path) == "20 0"
