"""`vos propagate`: carry the objects of a few masks through any video."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vos.cli import options
from vos.defaults import DEFAULT_MODEL

if TYPE_CHECKING:
    from vos.scheduling import Executor


def propagate(
    out: Annotated[Path, typer.Option(help="Folder of the masks, one PNG a frame.")],
    videos: Annotated[
        list[Path] | None,
        typer.Argument(metavar="VIDEO...", help="Video files, or folders of frames."),
    ] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option("--mask", help="[FRAME:]FILE, an indexed or grey PNG. Repeatable."),
    ] = None,
    overlay: Annotated[
        Path | None, typer.Option(help="Video with the objects shown; a folder for many.")
    ] = None,
    sound: Annotated[
        bool, typer.Option("--sound/--no-sound", help="Copy the video's sound into the overlay.")
    ] = True,
    rle: Annotated[
        Path | None,
        typer.Option(
            help="Masks as COCO run lengths, JSON, as pycocotools reads them; as YouTube-VIS where "
            "FILE ends in .ytvis.json; a folder for many."
        ),
    ] = None,
    masks: options.Masks = None,
    list_file: options.ListFile = None,
    engine: options.Executor = "local",
    address: options.Address = None,
    workers: options.Workers = None,
    model: options.Model = DEFAULT_MODEL,
    preset: options.Preset = "default",
    settings: options.Settings = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    device: options.Device = "auto",
    precision: options.Precision = "float32",
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Carry the objects of one or more masks through a video, forwards and backwards.

    A mask belongs to frame 0 unless FRAME: says otherwise; a later one corrects what it shows, or
    adds objects. Ids stay as given. Memory does not grow with the length of the video.

    Many videos take their masks from --masks, and go to OUT/VIDEO each; OUT/manifest.jsonl says how
    each ended. One that fails does not stop the others.
    """
    from vos.errors import UsageError
    from vos.pipeline.collection import read_list
    from vos.pipeline.jobs import parse_mask_options, propagate_to_files
    from vos.propagation import preset as find_preset

    config = find_preset(preset).with_settings(options.parse_settings(settings))
    paths = [*(videos or []), *(read_list(list_file) if list_file else [])]
    if masks is not None:
        if mask:
            raise UsageError("--mask is of one video, --masks of many: leave one out")
        _propagate_many(
            paths,
            masks,
            out,
            dry_run=dry_run,
            as_json=as_json,
            engine=lambda: options.chosen_executor(engine, device, address, workers),
            overlays=overlay,
            sound=sound,
            rles=rle,
            model=model,
            config=config,
            precision=precision,
            seed=seed,
            overwrite=overwrite,
        )
        return
    if len(paths) != 1:
        raise UsageError("give one VIDEO with --mask FILE, or any number with --masks FOLDER")
    if engine != "local" or address or workers:
        raise UsageError("--executor, --address and --workers are for many videos with --masks")
    video = paths[0]
    given = parse_mask_options(mask or [])
    if dry_run:
        from vos.media import open_video

        opened = open_video(video, leave_out=given.values())
        plan = {
            "video": str(video),
            "size": [opened.height, opened.width],
            "frames": opened.frame_count,
            "annotated": sorted(given),
            "out": str(out),
        }
        typer.echo(json.dumps(plan) if as_json else f"would segment {plan}")
        return

    record = propagate_to_files(
        video,
        given,
        out,
        overlay_file=overlay,
        sound=sound,
        rle_file=rle,
        model=model,
        config=config,
        device=options.chosen_device(device),
        precision=precision,
        seed=seed,
        overwrite=overwrite,
    )
    if as_json:
        typer.echo(json.dumps(record))
        return
    typer.echo(
        f"{record['frames']} frames of objects {', '.join(map(str, record['ids']))} "
        f"in {record['seconds']['total']:.1f} s ({record['fps']:.1f} a second): {out}"
    )


def _propagate_many(
    videos: list[Path],
    masks: Path,
    out: Path,
    *,
    dry_run: bool,
    as_json: bool,
    engine: Callable[[], Executor],
    **how: Any,
) -> None:
    from vos.pipeline.collection import named
    from vos.pipeline.many import propagate_many

    if dry_run:
        plan = {"videos": len(named(videos)), "masks": str(masks), "out": str(out)}
        typer.echo(json.dumps(plan) if as_json else f"would segment {plan}")
        return
    record = propagate_many(videos, masks, out, engine=engine(), **how)
    if as_json:
        typer.echo(json.dumps(record))
        return
    typer.echo(
        f"{record['videos']} videos, {record['begun']} of them now, {record['frames']} frames, "
        f"in {record['seconds']:.1f} s ({record['fps']:.1f} frames a second): {out}"
    )
