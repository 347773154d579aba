"""`vos data`: get and check data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(name="data", help="Get and check data sets.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command()
def check(
    root: Annotated[Path, typer.Argument(help="DAVIS folder.")],
    year: Annotated[
        int, typer.Option(help="2016 or 2017: which lists and mask convention.")
    ] = 2017,
    split: Annotated[str | None, typer.Option(help="One split; all when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what is missing or malformed in a DAVIS folder, file by file."""
    from vos.datasets.check import check_davis

    found = check_davis(root, year=year, split=split)
    if as_json:
        problems = [{"path": str(p.path), "what": p.what} for p in found.problems]
        counts = {"sequences": found.sequences, "frames": found.frames, "masks": found.masks}
        report = {"root": str(root), "year": year, "splits": found.splits, **counts}
        typer.echo(json.dumps(report | {"problems": problems}, ensure_ascii=False, indent=2))
    else:
        for problem in found.problems:
            typer.echo(str(problem))
        verdict = f"{len(found.problems)} problems" if found.problems else "whole"
        typer.echo(
            f"{root}: {verdict} ({found.sequences} sequences, {found.frames} frames, "
            f"{found.masks} masks; splits {', '.join(found.splits)})"
        )
    if found.problems:
        raise typer.Exit(1)


@app.command()
def download(
    name: Annotated[str, typer.Argument(help="davis-2017 or davis-2016.")],
    root: Annotated[Path | None, typer.Option(help="Folder to make.")] = None,
    url: Annotated[str | None, typer.Option(help="Fetch the archive from here instead.")] = None,
) -> None:
    """Fetch the official archive (resumable), check it and unpack it."""
    from vos.datasets.download import ARCHIVES, download_dataset

    folder = download_dataset(name, root, url=url)
    typer.echo(f"{folder}: `vos eval --dataset davis --root {folder} --year {ARCHIVES[name].year}`")


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(help="Folder to make.")],
) -> None:
    """Copy the built-in sample data set, in DAVIS-2017 layout, into a folder."""
    from vos.datasets.sample import copy_sample

    copy_sample(folder)
    typer.echo(str(folder))
