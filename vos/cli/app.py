"""The `vos` command: registers one file a command and turns errors into one line and a code."""

from __future__ import annotations

import sys

import typer

from vos.errors import VosError

app = typer.Typer(
    name="vos",
    help="Video object segmentation by label propagation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Entry point: run a command; bad input ends in one line on standard error."""
    try:
        app()
    except VosError as error:
        print(f"vos: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("vos: interrupted; what was finished is kept", file=sys.stderr)
        sys.exit(130)
