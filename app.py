"""Starts the web page; `vos demo --help` lists the options."""

from vos.cli.demo import demo

if __name__ == "__main__":
    import typer

    typer.run(demo)
