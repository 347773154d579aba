"""The `vos` command as a whole: help, versions of exit codes, interruption."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
import typer
from rich.text import Text

import vos
from vos.cli import app
from vos.errors import InvalidResultsError, MissingError, UsageError, VosError

COMMANDS = ("eval", "score", "propagate", "train", "data", "models", "info", "bench")


def test_help_lists_every_command_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['vos', '--help']\n"
        "from vos.cli.app import main\n"
        "try: main()\n"
        "finally: print([m for m in ('torch', 'numpy', 'cv2', 'av', 'numba') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.rstrip().endswith("[]")
    assert all(f" {name} " in ended.stdout for name in COMMANDS)


def test_the_version_is_that_of_the_package(vos_command) -> None:
    ended = vos_command("--version")
    assert (ended.code, ended.out) == (0, f"vos {vos.__version__}\n")


def options_of(command: click.Command, name: str = "vos") -> Iterator[tuple[str, click.Parameter]]:
    """Yield each parameter of a command and of the commands below, with the command's name."""
    for parameter in command.params:
        yield name, parameter
    for below, sub in getattr(command, "commands", {}).items():
        yield from options_of(sub, f"{name} {below}")


def test_no_word_of_the_help_is_lost() -> None:
    """Rich takes what stands in brackets for markup, and drops it."""
    defaults = 0
    for name, parameter in options_of(typer.main.get_command(app.app)):
        text = getattr(parameter, "help", None) or ""
        assert Text.from_markup(text).plain == text, f"{name} {parameter.name}"
        defaults += isinstance(getattr(parameter, "show_default", None), str)
    assert defaults >= 15


@pytest.mark.parametrize(
    ("command", "default"),
    [
        (("train",), "runs/CONFIG"),
        (("score",), "one per processor"),
        (("probe",), "z1,z2,z,map"),
        (("bench", "scoring"), "the truth, five frames late"),
    ],
)
def test_help_tells_defaults_that_depend(vos_command, command, default: str) -> None:
    shown = " ".join(vos_command(*command, "--help").out.replace("│", " ").split())
    assert f"[default: ({default})]" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(vos_command, command: str) -> None:
    ended = vos_command(command, "-h")
    assert ended.code == 0
    assert "Usage: vos" in ended.out


def test_python_can_run_the_package() -> None:
    ended = subprocess.run([sys.executable, "-m", "vos", "-h"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "Usage: vos" in ended.stdout


def test_an_unknown_command_offers_near_ones(vos_command) -> None:
    ended = vos_command("propagat")
    assert ended.code == 2
    assert "propagate" in ended.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (VosError("no"), 1),
        (UsageError("no"), 2),
        (MissingError("no"), 3),
        (InvalidResultsError("no"), 4),
    ],
)
def test_each_kind_of_error_has_its_code(
    vos_command, monkeypatch: pytest.MonkeyPatch, error: VosError, code: int
) -> None:
    monkeypatch.setattr(app, "app", _raise(error))
    ended = vos_command()
    assert (ended.code, ended.complaint) == (code, "vos: no")


def test_what_the_disk_does_is_one_line_too(vos_command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "app", _raise(OSError(5, "Input/output error", "frame.jpg")))
    ended = vos_command()
    assert (ended.code, ended.complaint) == (1, "vos: frame.jpg: Input/output error")


@pytest.mark.parametrize("arguments", [("",), ("propagate", "clip.mp4", "--out=")])
def test_an_empty_argument_is_not_the_present_folder(vos_command, arguments) -> None:
    ended = vos_command(*arguments)
    assert ended.code == 2
    assert "an empty argument" in ended.complaint and "not set?" in ended.complaint


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(130)])
def test_interruption_has_its_code(
    vos_command, monkeypatch: pytest.MonkeyPatch, stop: BaseException
) -> None:
    monkeypatch.setattr(app, "app", _raise(stop))
    ended = vos_command()
    assert ended.code == 130
    assert "interrupted" in ended.complaint


def _raise(error: BaseException):
    def command(**_: object) -> None:
        raise error

    return command
