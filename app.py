"""Starts the web page; `vos demo --help` lists the options."""

import typer

from vos.caches import give_libraries_a_cache
from vos.cli.demo import demo
from vos.cli.exit_codes import exit_cleanly

if __name__ == "__main__":
    give_libraries_a_cache()
    with exit_cleanly("app.py"):
        typer.run(demo)
