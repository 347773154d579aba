"""The `vos` command: registers one file per command."""

from __future__ import annotations

import io
import re
import sys
from typing import Annotated

import typer

from vos.caches import give_libraries_a_cache
from vos.cli import (
    bench,
    data,
    demo,
    equivariance,
    evaluate,
    export,
    export_model,
    info,
    models,
    probe,
    propagate,
    score,
    train,
)
from vos.cli.exit_codes import exit_cleanly
from vos.cli.option_names import name_options
from vos.errors import UsageError
from vos.version import __version__


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vos {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="vos",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def vos(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Video object segmentation by label propagation."""


app.command(name="eval")(evaluate.evaluate)
app.command(name="score")(score.score)
app.command(name="propagate")(propagate.propagate)
app.command(name="train")(train.train)
app.command(name="export")(export.export)
app.command(name="export-model")(export_model.export_model)
app.command(name="equivariance")(equivariance.equivariance)
app.command(name="demo")(demo.demo)
app.command(name="probe")(probe.probe)
app.command(name="models")(models.models)
app.command(name="info")(info.info)
app.add_typer(data.app, name="data")
app.add_typer(bench.app, name="bench")
name_options(app)


def main() -> None:
    """Entry point: run a command; bad input ends in one line on standard error."""
    give_libraries_a_cache()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files need not be UTF-8
            stream.reconfigure(errors="backslashreplace")
    with exit_cleanly():
        _refuse_empty(sys.argv[1:])
        app(prog_name="vos")


def _refuse_empty(arguments: list[str]) -> None:
    """Refuse an argument of no characters, which would be the present folder where it is a path.

    Raises:
        UsageError: there is one.
    """
    for before, argument in zip(["vos", *arguments], arguments, strict=False):
        if argument == "" or re.fullmatch(r"--[\w-]+=", argument):
            place = f"after {before}" if argument == "" else argument
            raise UsageError(f"an empty argument ({place}): is a variable of the shell not set?")
