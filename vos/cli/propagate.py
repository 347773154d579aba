"""`vos propagate`: carry the objects of a few masks through any video."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vos.cli import options


def propagate(
    video: Annotated[Path, typer.Argument(help="A video file, or a folder of frames.")],
    mask: Annotated[
        list[str],
        typer.Option("--mask", help="[FRAME:]FILE, an indexed or grey PNG. Repeatable."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the masks, one PNG a frame.")],
    overlay: Annotated[Path | None, typer.Option(help="Video with the objects shown.")] = None,
    rle: Annotated[Path | None, typer.Option(help="Masks as run lengths, JSON.")] = None,
    model: options.Model = "icon-resnet18",
    preset: options.Preset = "default",
    settings: options.Settings = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    device: options.Device = "auto",
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Carry the objects of one or more masks through a video, forwards and backwards.

    A mask belongs to frame 0 unless FRAME: says otherwise; a later one corrects what it shows, or
    adds objects. Ids stay as given. Memory does not grow with the length of the video.
    """
    from vos.pipeline.jobs import parse_mask_options, propagate_to_files
    from vos.propagation import preset as find_preset

    config = find_preset(preset).with_settings(options.parse_settings(settings))
    masks = parse_mask_options(mask)
    if dry_run:
        from vos.media import open_video

        opened = open_video(video)
        plan = {
            "video": str(video),
            "size": [opened.height, opened.width],
            "frames": opened.frame_count,
            "annotated": sorted(masks),
            "out": str(out),
        }
        typer.echo(json.dumps(plan) if as_json else f"would segment {plan}")
        return

    record = propagate_to_files(
        video,
        masks,
        out,
        overlay_file=overlay,
        rle_file=rle,
        model=model,
        config=config,
        device=options.chosen_device(device),
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
