"""`vos bench`: measure the speed of the parts, beside others' code where it is installed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from vos.cli import options
from vos.settings import DEFAULT_MODEL

app = typer.Typer(help="Measure the speed of a part on this machine.", no_args_is_help=True)


@app.command()
def scoring(
    results: Annotated[
        Path | None,
        typer.Option(help="Masks to score.", show_default="the truth, five frames late"),
    ] = None,
    dataset: options.Dataset = "sample",
    root: options.Root = None,
    year: options.Year = 2017,
    split: options.Split = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs, of which the best counts.")] = 3,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes.", show_default="one per processor")
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Measure frames per second of `vos score`, and of davis2017-evaluation where installed."""
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


@app.command()
def propagation(
    preset: options.Preset = "crw",
    frames: Annotated[
        int, typer.Option(min=4, help="Of the clip, in all but the long cases.")
    ] = 40,
    engine: Annotated[str, typer.Option(help="auto, cpu, tiled or reference.")] = "auto",
    model: Annotated[str, typer.Option(help="Makes the features.")] = "resnet18",
    plot: Annotated[Path | None, typer.Option(help="Draw the figures into this PNG.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Measure time and memory of propagation as context, objects, resolution and length grow."""
    from vos.benchmarks.propagation import bench_propagation, default_cases
    from vos.runs.folder import check_owned, write_owned

    if plot is not None:
        check_owned("bench propagation", plot)

    speeds = []
    if not as_json:
        typer.echo(
            f"{'size':>6}{'context':>9}{'objects':>9}{'frames':>8}{'s/frame':>10}{'labels':>9}"
            f"{'masks':>9}{'MB':>7}  of the matrix-product rate"
        )
    for speed in bench_propagation(default_cases(preset, frames, engine), model=model):
        speeds.append(speed)
        case = speed.case
        if not as_json:
            typer.echo(
                f"{case.short_side:5d}p{case.recent:9d}{case.objects:9d}{case.frames:8d}"
                f"{speed.seconds:10.3f}{speed.propagation:9.3f}"
                f"{speed.seconds - speed.propagation:9.3f}{speed.memory_mb:7.0f}"
                f"  {speed.share:.0%} of {speed.matrix_gflops:.0f} GFLOP/s"
            )
    if plot is not None:
        from vos.benchmarks.plots import plot_propagation

        write_owned("bench propagation", plot, lambda path: plot_propagation(speeds, path))
    if as_json:
        records = [{**dataclasses.asdict(speed), "share": speed.share} for speed in speeds]
        typer.echo(json.dumps(records))


@app.command()
def pipeline(
    dataset: options.Dataset = "sample",
    root: options.Root = None,
    year: options.Year = 2017,
    split: options.Split = None,
    sequence: Annotated[
        str | None, typer.Option(help="Of the data set.", show_default="its first")
    ] = None,
    model: options.Model = DEFAULT_MODEL,
    preset: options.Preset = "default",
    settings: options.Settings = None,
    precision: options.Precision = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Measure each stage from frames to masks, alone and overlapped, with floors that are known."""
    from vos.backbones import load
    from vos.benchmarks.pipeline import bench_pipeline
    from vos.datasets import open_dataset
    from vos.propagation import preset as find_preset

    config = find_preset(preset).with_settings(options.parse_settings(settings))
    wanted = None if sequence is None else [sequence]
    opened = open_dataset(dataset, root=root, year=year, split=split, sequences=wanted)
    speed = bench_pipeline(opened.sequences[0], load(model), config, precision=precision)
    if as_json:
        typer.echo(json.dumps({**dataclasses.asdict(speed), "alone": speed.alone}))
        return
    height, width = speed.size
    typer.echo(
        f"{speed.sequence}, {speed.frames} frames of {width} x {height}, features in "
        f"{speed.precision}\n{'stage':<12}{'ms a frame':>11}{'floor':>8}"
    )
    for stage in speed.stages:
        floor = "" if stage.floor is None else f"{stage.floor:.0f}"
        typer.echo(f"{stage.name:<12}{stage.milliseconds:11.1f}{floor:>8}")
    typer.echo(
        f"{'all alone':<12}{speed.alone:11.1f}\n"
        f"overlapped  {1e3 / speed.frames_per_second:11.1f}  "
        f"({speed.frames_per_second:.2f} frames per second, peak {speed.memory_mb:.0f} MB)"
    )
