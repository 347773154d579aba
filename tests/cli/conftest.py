"""The real entry point, run in this process, and small data to run it on."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vos.cli import app, options
from vos.media import write_mask
from vos.progress import set_quiet


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line that a command which failed may print on standard error."""
        assert "Traceback" not in self.err
        assert self.out == ""
        lines = [line for line in self.err.splitlines() if not line.startswith("device: ")]
        assert len(lines) == 1, self.err
        assert lines[0].startswith("vos: ")
        return lines[0]


@pytest.fixture
def vos_command(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ended]:
    """``vos_command("eval", "--json")`` as a terminal would run it."""

    def run(*arguments: object) -> Ended:
        options.log.handlers.clear()  # it writes to the standard error of the test before
        options.log.setLevel(logging.NOTSET)
        set_quiet(True)  # on a busy machine bars would come between the lines
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["vos", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            app.main()
        code = stop.value.code
        return Ended(code if isinstance(code, int) else int(code is not None), *capfd.readouterr())

    return run


@pytest.fixture
def davis(write_davis: Callable[..., Path]) -> Path:
    """Two sequences of six frames."""
    return write_davis("ant", "bee")


@pytest.fixture
def clip(moving_scene, tmp_path: Path) -> Path:
    """A folder of six frames, ``clip é``, with the mask of each in ``masks``."""
    folder = tmp_path / "clip é"
    folder.mkdir()
    for index in range(6):
        frame, mask = moving_scene(index)
        Image.fromarray(frame).save(folder / f"{index}.jpg", quality=95)
        write_mask(tmp_path / "masks" / f"{index}.png", mask)
    return folder


@pytest.fixture
def read_masks() -> Callable[[Path], dict[str, np.ndarray]]:
    """The masks below a folder, by their path in it."""

    def read(folder: Path) -> dict[str, np.ndarray]:
        return {
            path.relative_to(folder).as_posix(): np.array(Image.open(path))
            for path in sorted(folder.rglob("*.png"))
        }

    return read
