"""`vos export`: dense features of videos as arrays and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from vos.cli import options
from vos.settings import DEFAULT_MODEL

_SHOWN = 10  # videos; of more there is a manifest
_PICTURES = "Pictures (.png: a sheet of 12 frames, .mp4: all frames)"


def export(
    out: Annotated[Path, typer.Option(help="PATH.zarr, or PATH.npz, PATH.safetensors for small.")],
    videos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="VIDEO...", help="Video files, folders of frames, or folders of these."
        ),
    ] = None,
    model: options.Model = DEFAULT_MODEL,
    every: Annotated[int, typer.Option(help="Take every n-th frame.")] = 1,
    layer: Annotated[int | None, typer.Option(help="Layer of the backbone.")] = None,
    resolution: Annotated[
        int | None, typer.Option(help="Short side in pixels that the backbone sees.")
    ] = None,
    precision: Annotated[str, typer.Option(help="float16 or float32.")] = "float16",
    pca: Annotated[
        Path | None,
        typer.Option(help="Three principal components as colours.", rich_help_panel=_PICTURES),
    ] = None,
    segments: Annotated[
        Path | None, typer.Option(help="k-means clusters as tints.", rich_help_panel=_PICTURES)
    ] = None,
    clusters: Annotated[
        int, typer.Option(help="How many clusters.", rich_help_panel=_PICTURES)
    ] = 6,
    similar: Annotated[
        Path | None, typer.Option(help="Similarity to --point.", rich_help_panel=_PICTURES)
    ] = None,
    point: Annotated[
        str | None,
        typer.Option(metavar="FRAME:X,Y", help="For --similar.", rich_help_panel=_PICTURES),
    ] = None,
    list_file: options.ListFile = None,
    executor: options.Executor = "local",
    address: options.Address = None,
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    device: options.Device = "auto",
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Write the dense features of videos, (T, C, h, w), with all that is needed to use them.

    Zarr is written a shard at a time: memory does not grow with the video, and a run that was
    stopped goes on when the same command is given again. The features of one video are at
    PATH.zarr, those of several at PATH.zarr/NAME; PATH.zarr.manifest.jsonl says how each ended,
    and what was written: nothing else is ever replaced or removed. Read them with
    vos.open_features(PATH), or with any zarr reader. Pictures of a finished export cost no second
    run of the network.
    """
    from vos.errors import UsageError
    from vos.export.job import ExportSettings, plan_export, run_export
    from vos.export.pictures import Pictures
    from vos.export.similarity import parse_point

    place = parse_point(point) if point else None
    pictures = Pictures(pca, segments, clusters, similar, place)
    pictures.check()
    paths = options.given_videos(videos, list_file)
    many = len(paths) > 1 or list_file is not None
    if pictures.paths and many:
        raise UsageError("pictures are of one video: export one, or leave the pictures out")
    if not many and (executor != "local" or address or workers):
        raise UsageError("--executor, --address and --workers are for many videos")
    settings = ExportSettings(model, every, layer, resolution, precision, seed)
    if many and not dry_run:
        from vos.export.many import export_many

        chosen = options.chosen_executor(executor, device, address, workers)
        _tell(export_many(paths, out, settings, chosen, overwrite=overwrite), precision, as_json)
        return
    plan = plan_export(paths, out, settings, options.chosen_device(device))
    if dry_run:
        rows: list[dict[str, Any]] = [
            {
                "source": str(stream.video.path),
                "path": str(target),
                "shape": list(stream.shape),
                "bytes": stream.bytes_per_frame * stream.shape[0],
            }
            for target, stream in plan.items()
        ]
        if as_json:
            typer.echo(json.dumps({"videos": rows, "out": str(out)}))
            return
        for row in rows:
            typer.echo(
                f"would write {row['path']}: {_shape(row['shape'])} {precision}, "
                f"{row['bytes'] / 2**20:.1f} MiB, from {row['source']}"
            )
        return
    record = run_export(plan, out, overwrite=overwrite, pictures=pictures)
    _tell(record, precision, as_json)


def _tell(record: dict[str, Any], precision: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(record))
        return
    rows = record["videos"]
    for row in rows[:_SHOWN]:
        typer.echo(f"{row['path']}: {_shape(row['shape'])} {precision}")
    if len(rows) > _SHOWN:
        typer.echo(f"and {len(rows) - _SHOWN} more: {record['manifest']}")
    typer.echo(
        f"{record['computed']} of {record['frames']} frames computed "
        f"in {record['seconds']['total']:.1f} s ({record['fps']:.1f} per second), "
        f"{record['bytes'] / 2**20:.1f} MiB"
    )
    for path in record.get("pictures", []):
        typer.echo(f"picture: {path}")


def _shape(shape: list[int]) -> str:
    return " x ".join(map(str, shape))
