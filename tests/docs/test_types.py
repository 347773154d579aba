"""The types of the public names let a user's script pass mypy --strict."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import vos

SCRIPT = Path(__file__).with_name("user_script.py")


def test_the_script_uses_every_public_name() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert [name for name in vos.__all__ if f"vos.{name}" not in text] == []


@pytest.mark.slow
def test_a_users_script_passes_mypy_strict(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(SCRIPT)]
    config = tmp_path / "mypy.ini"  # as a user has none of the settings of vos
    config.write_text("[mypy]\nignore_missing_imports = true\n")
    found = subprocess.run(
        [*command, "--config-file", str(config), "--cache-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=Path(vos.__file__).parents[1],
    )
    assert found.returncode == 0, found.stdout
