"""Two processes do not work in one place at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vos.errors import UsageError
from vos.runs.folder import RunFolder

SETTINGS = {"model": "lab"}
OTHER = """
import sys
from pathlib import Path
from vos.errors import UsageError
from vos.runs.folder import RunFolder
try:
    run = RunFolder.open(Path(sys.argv[1]), {"model": "lab"})
except UsageError as error:
    sys.exit(str(error))
print("at work", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path):
    """Another process that is at work, until it is killed."""
    with start_other(tmp_path) as process:
        assert process.stdout.readline() == "at work\n"
        yield process
        process.kill()


def start_other(tmp_path: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", OTHER, str(tmp_path / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("overwrite", [False, True])
def test_who_comes_second_is_refused_until_the_first_is_done(other, tmp_path, overwrite) -> None:
    said = rf"process {other.pid} is at work in .*out: wait until it is done"
    with pytest.raises(UsageError, match=said):
        RunFolder.open(tmp_path / "out", SETTINGS, overwrite=overwrite)
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for by_another_name in (tmp_path / "link", tmp_path / "none" / ".." / "out"):
        with pytest.raises(UsageError, match=rf"process {other.pid} is at work"):
            RunFolder.open(by_another_name, SETTINGS, overwrite=overwrite)
    RunFolder.open(tmp_path / "elsewhere", SETTINGS)
    other.kill()
    other.wait()
    RunFolder.open(tmp_path / "out", SETTINGS, overwrite=overwrite)


def test_a_run_that_ended_keeps_nobody_out(tmp_path: Path) -> None:
    run = RunFolder.open(tmp_path / "out", SETTINGS)
    again = RunFolder.open(tmp_path / "out", SETTINGS)  # of this process
    del run, again
    with start_other(tmp_path) as process:
        out, err = process.communicate("")
    assert (out, err, process.returncode) == ("at work\n", "", 0)


def test_who_has_no_cache_is_not_refused(other, tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("VOS_CACHE", str(tmp_path / "file"))
    RunFolder.open(tmp_path / "out", SETTINGS)
