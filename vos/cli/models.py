"""`vos models`: list what --model can be."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from vos.cli import options


def models(as_json: options.AsJson = False) -> None:
    """List the shipped checkpoints and the families: stride, size, cost per frame, equivariance.

    Options follow a name after commas: resnet18,stride=4,layer=2. Also good for --model: a
    checkpoint folder, timm:MODEL, torchvision:MODEL, and a hub id such as owner/name.
    """
    from vos.backbones.catalogue import list_models

    rows = [asdict(row) for row in list_models()]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    columns = {
        "name": "<",
        "stride": ">",
        "channels": ">",
        "parameters": ">",
        "megabytes": ">",
        "gmac": ">",
        "equivariance": "<",
        "description": "<",
    }
    table = [list(columns), *([_cell(row[name]) for name in columns] for row in rows)]
    for name, title in {"megabytes": "MB", "gmac": "GMAC at 480p"}.items():
        table[0][list(columns).index(name)] = title
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        cells = zip(line, columns.values(), widths, strict=True)
        typer.echo("  ".join(f"{cell:{align}{width}}" for cell, align, width in cells).rstrip())


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value)
