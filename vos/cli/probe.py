"""`vos probe`: what frozen features know of classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vos.cli import options
from vos.settings import DEFAULT_MODEL


def probe(
    data: Annotated[
        Path, typer.Option(help="Labelled images: a folder or .zip of CLASS/IMAGE, or an .npz.")
    ],
    model: options.Model = DEFAULT_MODEL,
    features: Annotated[
        str | None,
        typer.Option(
            help="map; of several views also z, z1, map1, ...", show_default="z1,z2,z,map"
        ),
    ] = None,
    pool: Annotated[int, typer.Option(min=1, help="Cells per side that maps are averaged to.")] = 2,
    size: Annotated[
        int | None, typer.Option(min=8, help="Side of the images.", show_default="their own")
    ] = None,
    per_class: Annotated[
        int | None, typer.Option(min=1, help="Training images of each class.", show_default="all")
    ] = None,
    neighbours: Annotated[int, typer.Option(min=1, help="That vote.")] = 20,
    batch: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 250,
    device: options.Device = "auto",
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Accuracy of a linear classifier and of nearest neighbours on frozen features."""
    from vos.datasets.labelled import open_labelled

    dataset = open_labelled(data.expanduser())

    from vos.analysis.probe import probe as run_probe
    from vos.backbones import load

    place = options.chosen_device(device)
    report = run_probe(
        load(model, seed=seed, device=place),
        dataset,
        names=options.parse_names(features),
        pool=pool,
        size=size,
        per_class=per_class,
        neighbours=neighbours,
        batch=batch,
        device=place,
    )
    if as_json:
        typer.echo(json.dumps({"model": model, "data": dataset.name, **report.to_dict()}))
        return
    typer.echo(f"{'features':<10}{'channels':>9}{'linear':>9}{'k-NN':>9}")
    for row in report.rows:
        typer.echo(f"{row.features:<10}{row.channels:9d}{row.linear:9.3f}{row.neighbours:9.3f}")
    typer.echo(
        f"\n{dataset.name}: {report.train_images} training and {report.test_images} test images, "
        f"{len(dataset.classes)} classes"
    )
