"""`vos bench`: speed of the parts, beside others' code where it is installed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from vos.cli import options

app = typer.Typer(help="Measure the speed of a part on this machine.", no_args_is_help=True)


@app.command()
def scoring(
    results: Annotated[
        Path | None,
        typer.Option(help="Masks to score.  [default: the truth, five frames late]"),
    ] = None,
    dataset: Annotated[str, typer.Option(help="sample or davis.")] = "sample",
    root: Annotated[Path | None, typer.Option(help="Folder of the data set.")] = None,
    year: Annotated[int, typer.Option(help="DAVIS 2016 or 2017.")] = 2017,
    split: Annotated[str | None, typer.Option(help="List of sequences.  [default: val]")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs, of which the best counts.")] = 3,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes.  [default: one a processor]")
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Frames a second of `vos score`, and of davis2017-evaluation where it is installed."""
    from vos.benchmarks.scoring import bench_scoring
    from vos.datasets import open_dataset
    from vos.evaluation.official import INSTALL

    truth = open_dataset(dataset, root=root, year=year, split=split)
    speed = bench_scoring(truth, results, repeats=repeats, workers=workers)
    if as_json:
        record = dataclasses.asdict(speed)
        typer.echo(json.dumps({**record, "fps": speed.frames_per_second, "ratio": speed.ratio}))
        return
    typer.echo(
        f"vos       {speed.seconds:8.2f} s  {speed.frames_per_second:8.0f} frames/s "
        f"({speed.masks} masks)"
    )
    if speed.official_seconds is None:
        typer.echo(f"official  not installed: {INSTALL}")
        return
    typer.echo(
        f"official  {speed.official_seconds:8.2f} s  "
        f"{speed.masks / speed.official_seconds:8.0f} frames/s\n"
        f"ratio     {speed.ratio:8.1f}, largest difference {speed.largest_difference:.1e}"
    )
