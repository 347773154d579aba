"""`vos eval`: segment a data set, score the masks, write a report."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from vos.cli import options
from vos.settings import DEFAULT_MODEL


def evaluate(
    dataset: options.Dataset = "sample",
    root: options.Root = None,
    year: options.Year = 2017,
    split: options.Split = None,
    sequences: options.Sequences = None,
    model: options.Model = DEFAULT_MODEL,
    preset: options.Preset = "default",
    settings: options.Settings = None,
    out: options.Out = None,
    report: Annotated[bool, typer.Option(help="Write report.html.")] = True,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    executor: options.Executor = "local",
    address: options.Address = None,
    workers: options.Workers = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Segment every sequence of a data set from its first mask, and score the masks.

    The masks go to OUT/<sequence>/<frame>.png with metrics.json, the official tables, report.html
    and run.json beside them; manifest.jsonl records what the run wrote, and nothing else is ever
    replaced or removed. A run that was stopped goes on when the same command is given again. Where
    a data set publishes first masks only (DAVIS test-dev), there are masks and no scores.
    """
    from vos.datasets import open_dataset
    from vos.evaluation.evaluate import evaluate as run_evaluation
    from vos.evaluation.evaluate import results_folder
    from vos.evaluation.tables import format_table
    from vos.propagation import preset as find_preset

    changes = options.parse_settings(settings)
    find_preset(preset).with_settings(changes)
    names = options.parse_names(sequences)
    opened = open_dataset(dataset, root=root, year=year, split=split, sequences=names)
    out = out or results_folder(opened, model, preset)
    if dry_run:
        options.check_model(model, seed)
        frames = sum(map(len, opened))
        plan = {"sequences": len(opened), "frames": frames, "model": model, "out": str(out)}
        typer.echo(
            json.dumps(plan)
            if as_json
            else f"would segment {frames} frames of {len(opened)} sequences of {opened.name} "
            f"with {model}, preset {preset}, into {out}"
        )
        return

    chosen = options.chosen_executor(executor, device, address, workers)
    evaluation = run_evaluation(
        opened,
        out,
        model=model,
        preset=preset,
        settings=changes,
        executor=chosen,
        precision=precision,
        seed=seed,
        overwrite=overwrite,
        report=report,
    )
    if as_json:
        typer.echo(json.dumps(evaluation.record))
        return
    if evaluation.scores is not None:
        typer.echo(format_table(evaluation.scores))
    seconds = evaluation.record["seconds"]
    typer.echo(
        f"\n{evaluation.record['frames']} frames, {evaluation.record['fps']:.1f} per second "
        f"(features {seconds['features']:.1f} s, propagation {seconds['propagation']:.1f} s, "
        f"scoring {seconds['scoring']:.1f} s), {evaluation.record['peak_memory_mb']:.0f} MB"
    )
    if evaluation.scores is not None:
        typer.echo(f"masks, tables and report: {out}")
        return
    typer.echo(
        f"masks: {evaluation.record['masks']}, as the official server takes them; "
        f"the truth of {opened.name} {opened.split} is there"
    )
