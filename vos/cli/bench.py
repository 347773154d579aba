"""`vos bench`: speed of the parts, beside others' code where it is installed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from vos.cli import options
from vos.errors import UsageError, near_names

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


@app.command()
def loss(
    tokens: Annotated[str, typer.Option(help="Tokens a frame, several with commas.")] = (
        "900,3600,14400"
    ),
    forms: Annotated[
        str | None,
        typer.Option(help="dense, dense-flushed, tiled, triton, pykeops.  [default: all]"),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Pairs of frames.")] = 2,
    channels: Annotated[int, typer.Option(min=1, help="Of the features.")] = 64,
    repeats: Annotated[int, typer.Option(min=1, help="Runs, of which the best counts.")] = 3,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Time and memory of the inverse consistency loss and its gradient, form by form."""
    from vos.benchmarks.loss import bench_loss

    speeds = bench_loss(
        _counts(tokens),
        forms=forms.split(",") if forms else None,
        batch=batch,
        channels=channels,
        repeats=repeats,
        device=str(options.chosen_device(device)),
    )
    if as_json:
        records = [{**dataclasses.asdict(speed), "share": speed.share} for speed in speeds]
        typer.echo(json.dumps(records))
        return
    typer.echo(
        f"{'tokens':>7}  {'form':<14}{'seconds':>9}{'forward':>9}{'MiB':>8}"
        f"{'GFLOP/s':>9}  of the matrix-product rate"
    )
    for speed in speeds:
        line = f"{speed.tokens:7d}  {speed.form:<14}"
        if speed.skipped:
            typer.echo(f"{line}  {speed.skipped}")
        else:
            typer.echo(
                f"{line}{speed.seconds:9.3f}{speed.forward_seconds:9.3f}{speed.memory_mb:8.0f}"
                f"{speed.gflops:9.1f}  {speed.share:.0%} of {speed.matrix_gflops:.0f}"
            )


def _counts(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = [0]
    if min(counts) < 1:
        raise UsageError(f"--tokens takes numbers with commas, not {text!r}")
    return counts


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
    """Time and memory of propagation as context, objects, resolution and length grow."""
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
def contrastive(
    draw: Annotated[
        str, typer.Option(help="Negatives: batch (one set a step) or sample (one an anchor).")
    ] = "batch",
    loss: Annotated[str, typer.Option(help="nce or softmax.")] = "nce",
    plot: Annotated[Path | None, typer.Option(help="Draw the figures into this PNG.")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Time and memory of a contrastive step as negatives and the memory bank grow."""
    from vos.benchmarks.contrastive import bench_contrastive, default_cases
    from vos.runs.folder import check_owned, write_owned

    if plot is not None:
        check_owned("bench contrastive", plot)

    for name, value, known in (
        ("--draw", draw, ("batch", "sample")),
        ("--loss", loss, ("nce", "softmax")),
    ):
        if value not in known:
            raise UsageError(f"{name} {value}: {near_names(value, known)}")
    speeds = []
    if not as_json:
        typer.echo(f"{'negatives':>9}{'scenes':>9}{'seconds':>9}{'MiB':>7}{'bank MiB':>10}")
    for speed in bench_contrastive(default_cases(draw, loss)):
        speeds.append(speed)
        case = speed.case
        if not as_json:
            typer.echo(
                f"{case.negatives:9d}{case.scenes:9d}{speed.seconds:9.4f}{speed.memory_mb:7.0f}"
                f"{speed.bank_mb:10.0f}"
            )
    if plot is not None:
        from vos.benchmarks.plots import plot_contrastive

        write_owned("bench contrastive", plot, lambda path: plot_contrastive(speeds, path))
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(speed) for speed in speeds]))
