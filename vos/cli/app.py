"""The `vos` command: registers one file a command and turns errors into one line and a code."""

from __future__ import annotations

import sys

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
from vos.errors import VosError

INTERRUPTED = 130

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
    try:
        app(prog_name="vos")
    except VosError as error:
        print(f"vos: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:  # whatever a disk may do where nobody expected it
        print(f"vos: {error.filename or 'file system'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(VosError.exit_code)
    except KeyboardInterrupt:
        _interrupted()
    except SystemExit as stop:  # the command-line library turns Ctrl-C into this
        if stop.code == INTERRUPTED:
            _interrupted()
        raise


def _interrupted() -> None:
    print("vos: interrupted; what was finished is kept", file=sys.stderr)
    sys.exit(INTERRUPTED)
