"""Starts the web page; `vos demo --help` lists the options."""

import typer

from vos.cli.demo import demo
from vos.cli.endings import clear_endings

if __name__ == "__main__":
    with clear_endings("app.py"):
        typer.run(demo)
