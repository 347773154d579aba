"""The library speaks of parameters; the commands turn them into their options."""

from __future__ import annotations

import re
from pathlib import Path

import vos
from vos.cli.option_names import in_options

PACKAGE = Path(vos.__file__).parent
OPTIONS = {"overwrite": "--overwrite", "settings": "--set", "precision": "--precision"}


def test_parameters_become_the_options_of_the_command() -> None:
    assert in_options("add `overwrite=True`", OPTIONS) == "add --overwrite"
    assert in_options("`settings` takes NAME=VALUE", OPTIONS) == "--set takes NAME=VALUE"
    assert in_options("use `precision='float32'`", OPTIONS) == "use --precision float32"
    other = "`vos data sample DIR` writes one, `radius` is no option"
    assert in_options(other, OPTIONS) == other


def test_a_command_names_its_options(vos_command, tmp_path: Path) -> None:
    ended = vos_command("export", tmp_path, "--out", "x.npz", "--every", "0")
    assert ended.code == 2
    assert ended.err.strip().endswith("--every takes 1 or more, not 0")
    ended = vos_command("eval", "--dataset", "davis")
    assert ended.code == 3
    assert "--root is needed" in ended.err


def test_messages_of_the_library_name_no_options() -> None:
    whole_command = re.compile(r"`(vos|ray|pip) [^`]*(`|$)")
    found = [
        f"{path.name}: {line.strip()}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in ("cli", "demo")
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"--[a-z]", whole_command.sub("", line)) and "vos --help" not in line
    ]
    assert found == []
