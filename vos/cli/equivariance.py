"""`vos equivariance`: how a backbone's features follow when the picture is transformed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vos.cli import options


def equivariance(
    model: options.Model = "rotation-unet-c8",
    images: Annotated[
        list[Path] | None,
        typer.Option(
            help="Images, folders of them, or videos. Repeatable.", show_default="the sample"
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Images to use at most.")] = 2,
    side: Annotated[int, typer.Option(min=16, help="Of the square frames, in pixels.")] = 256,
    margin: Annotated[
        float | None,
        typer.Option(
            min=0, help="Pixels that count as border.", show_default="a quarter of the side"
        ),
    ] = None,
    layers: Annotated[
        int, typer.Option(min=0, help="Levels of nested layers to measure; 0 for none.")
    ] = 1,
    out: options.Out = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Measure || T Phi(f) - Phi(T f) ||^2 / || T Phi(f) ||^2 for zooms, turns and shifts.

    Away from the border and, apart, at it; for the network and its layers. With --out FOLDER,
    figure, CSV and JSON are written there.
    """
    from dataclasses import asdict

    from vos.analysis.equivariance_report import report_equivariance, verdict
    from vos.runs.folder import RunFolder
    from vos.runs.model import weights_inputs
    from vos.runs.paths import Input, Output, check_paths

    if out is not None:
        read = [Input("an image", path) for path in images or []]
        check_paths([*read, *weights_inputs(model)], [Output("the report", out, folder=True)])
        RunFolder.check_open(out, {"command": "equivariance"}, overwrite=None)
    report = report_equivariance(
        model,
        images=images or [],
        count=count,
        side=side,
        margin=margin,
        layers=layers,
        seed=seed,
        device=options.chosen_device(device),
    )
    if out is not None:
        report.save(out)
    if as_json:
        typer.echo(json.dumps(asdict(report)))
        return
    says = report.says
    typer.echo(
        f"{model} says: {says['group']} ({'exact' if says['exact'] else 'approximate'}); "
        f"{says['output']}; depends on {says['depends_on']}"
    )
    typer.echo(
        f"measured on {report.images} images of {report.side} x {report.side}, "
        f"{report.margin:g} pixels from the border and more:"
    )
    for name, error in report.summary.items():
        typer.echo(f"  {name:<18}{error:10.1e}  {verdict(error)}")
    for name, layer in report.broken.items():
        typer.echo(f"  {name} are promised to be exact and are broken first by {layer}")
    if out is not None:
        typer.echo(f"figure, CSV and JSON in {out}")
