"""`vos train`: learn dense features from unlabelled videos and photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vos.cli import options

MEASURES = ("loss", "cycle_accuracy", "accuracy", "bound")  # told at the end, where there are


def train(
    config: Annotated[
        str | None, typer.Argument(help="A shipped config (see --list) or a YAML file.")
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="Videos, or folders of videos, frames or photos. Repeatable."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the run.", show_default="runs/CONFIG")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a key: --set steps=500 --set crop.size=96."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, pairs and draws.")] = None,
    device: options.Device = "auto",
    devices: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    overwrite: options.Overwrite = False,
    list_configs: Annotated[
        bool, typer.Option("--list", help="Say which configs are shipped, and stop.")
    ] = False,
    dry_run: options.DryRun = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Train a backbone on unlabelled videos and photos.

    A run that was stopped, by Ctrl-C or otherwise, goes on when the same command is given again.
    """
    from vos.datasets.clips import find_clips
    from vos.errors import UsageError
    from vos.training.config import choose_config, config_text, describe_configs, run_folder

    if list_configs:
        found = describe_configs()
        lines = (f"{name:20s}  {text}" for name, text in found.items())
        typer.echo(json.dumps(found) if as_json else "\n".join(lines))
        return
    if config is None:
        raise UsageError("which config? `vos train --list` says which are shipped")
    chosen = choose_config(config, data=data, settings=settings or [], seed=seed)
    if not chosen.data.paths:
        raise UsageError("nothing to train on: pass --data FOLDER (videos, frames or photos)")
    out = out or run_folder(chosen)
    sources = find_clips([Path(path).expanduser() for path in chosen.data.paths])
    if dry_run:
        options.check_model(chosen.model.backbone, chosen.seed)
        text = config_text(chosen)
        summary = {"config": text, "sources": len(sources), "out": str(out)}
        typer.echo(
            json.dumps(summary) if as_json else f"{text}# {len(sources)} clips, run in {out}"
        )
        return

    from vos.training.loop import train as run_training

    trained = run_training(
        config,
        out,
        data=data,
        settings=settings or [],
        seed=seed,
        device=options.chosen_device(device),
        devices=devices,
        overwrite=overwrite,
    )
    result = {
        "weights": str(trained.weights),
        "run": str(trained.run),
        "steps": trained.steps,
        "seconds": round(trained.seconds, 1),
        **trained.metrics,
    }
    if as_json:
        typer.echo(json.dumps(result))
        return
    measures = ", ".join(
        f"{name.replace('_', ' ')} {result[name]:.3f}" for name in MEASURES if name in result
    )
    typer.echo(f"{trained.steps} steps in {trained.seconds / 60:.1f} minutes, {measures}")
    typer.echo(f"weights: {trained.weights}")
