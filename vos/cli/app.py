"""The `vos` command: registers one file a command."""

from __future__ import annotations

import sys
from io import TextIOWrapper

import typer

from vos.cli import (
    bench,
    data,
    demo,
    equivariance,
    eval,
    export,
    export_model,
    info,
    models,
    probe,
    propagate,
    score,
    train,
)
from vos.cli.endings import clear_endings

app = typer.Typer(
    name="vos",
    help="Video object segmentation by label propagation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(name="eval")(eval.evaluate)
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


def main() -> None:
    """Entry point: run a command; bad input ends in one line on standard error."""
    if isinstance(sys.stdout, TextIOWrapper):  # names that are not UTF-8 can be printed
        sys.stdout.reconfigure(errors="backslashreplace")
    with clear_endings():
        app(prog_name="vos")
