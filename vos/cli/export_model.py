"""`vos export-model`: a backbone as ONNX or as a torch.export program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vos.cli import options


def export_model(
    model: Annotated[str, typer.Argument(help="What --model takes elsewhere.")],
    out: Annotated[Path, typer.Option(help="PATH.onnx, or PATH.pt2 for torch.export.load.")],
    size: Annotated[str, typer.Option(help="Frames it will see, WIDTHxHEIGHT.")] = "854x480",
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Write a backbone for other runtimes, and check that it gives the same features there.

    It takes batches of any number of frames of one size, RGB in [0, 1], and gives their features.
    """
    from vos.export.portable import check_portable_path, export_backbone, parse_size

    height, width = parse_size(size)
    check_portable_path(out)

    from vos.backbones import load
    from vos.runs.folder import RunFolder, record_beside
    from vos.runs.model import weights_inputs
    from vos.runs.paths import Output, check_paths

    check_paths(weights_inputs(model), [Output("the network", out)])
    run = RunFolder.open(
        out, {"command": "export-model"}, record=record_beside(out), overwrite=None
    )
    backbone = load(model, seed=seed)
    with run.writing(out):
        record = export_backbone(backbone, out, (height, width), spec=model)
    if as_json:
        typer.echo(json.dumps({**record, "out": str(out)}))
        return
    typer.echo(
        f"{out}: {model} for frames of {width} x {height}, stride {record['stride']}, "
        f"{record['channels']} channels; differs from torch by {record['difference']:.1e} at most"
    )
