"""`vos propagate`: carry the objects of a few masks through any video."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vos.cli import options
from vos.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    from vos.scheduling import Executor


def propagate(
    out: Annotated[Path, typer.Option(help="Folder of the masks, one PNG per frame.")],
    videos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="VIDEO...", help="Video files, folders of frames, or folders of these."
        ),
    ] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option(
            "--mask",
            help="[FRAME:]FILE, an indexed or grey PNG. FRAME is the name of a frame of a folder, "
            "or a number from 0. Or annotations: COCO, YouTube-VIS or Label Studio .json, CVAT "
            ".xml, .zip of MOTS PNG or of PNGs named by their frames. Repeatable.",
        ),
    ] = None,
    fill_boxes: Annotated[
        bool, typer.Option("--fill-boxes", help="Take boxes in annotations for masks.")
    ] = False,
    point: Annotated[
        list[str] | None,
        typer.Option(
            "--point",
            help="[FRAME:][OBJECT=]X,Y in pixels on an object; X,Y,- beside it. The mask is found. "
            "Repeatable.",
        ),
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(
            "--box",
            help="[FRAME:][OBJECT=]LEFT,TOP,RIGHT,BOTTOM in pixels around an object. Repeatable.",
        ),
    ] = None,
    overlay_file: Annotated[
        Path | None,
        typer.Option("--overlay", help="Video with the objects shown; a folder for many."),
    ] = None,
    composites: Annotated[
        list[str] | None,
        typer.Option(
            "--composite",
            metavar="KIND=FILE",
            help="Video for editing: prores (.mov) or webm, with transparency; green, matte, blur, "
            "spotlight or background (.mp4). Repeatable; KIND=FOLDER for many.",
        ),
    ] = None,
    background: Annotated[
        Path | None,
        typer.Option(help="Picture behind the objects, for --composite background=FILE."),
    ] = None,
    sound: Annotated[
        bool,
        typer.Option("--sound/--no-sound", help="Copy the video's sound into these videos."),
    ] = True,
    rle_file: Annotated[
        Path | None,
        typer.Option(
            "--rle",
            help="Masks as COCO run lengths, JSON, as pycocotools reads them; as YouTube-VIS where "
            "FILE ends in .ytvis.json; a folder for many.",
        ),
    ] = None,
    masks: options.Masks = None,
    list_file: options.ListFile = None,
    executor: options.Executor = "local",
    address: options.Address = None,
    workers: options.Workers = None,
    model: options.Model = DEFAULT_MODEL,
    preset: options.Preset = "default",
    settings: options.Settings = None,
    overwrite: options.Overwrite = False,
    dry_run: options.DryRun = False,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Carry the objects of one or more masks through a video, forwards and backwards.

    Objects may also be clicked on, or be surrounded by a box: --point 310,200 --box 2=10,20,80,90.
    A mask belongs to the frame that FRAME: says, or whose name it bears, else to the first; a later
    one corrects what it shows, or adds objects. Ids stay as given. Memory does not grow with the
    length of the video.

    Each mask that is written bears the name of its frame: that of its file in a folder of frames,
    its number from 00000 on in a video file. OUT/manifest.jsonl records what the run wrote; nothing
    else is ever replaced or removed. The same command again goes on where it was stopped.

    Many videos take their masks from --masks, and go to OUT/VIDEO each; OUT/manifest.jsonl says how
    each ended. One that fails does not stop the others.
    """
    from vos.errors import UsageError
    from vos.propagation import preset as find_preset
    from vos.segmentation.composites import Composites, parse_composites
    from vos.segmentation.given_masks import open_with_masks, parse_mask_options
    from vos.segmentation.prompts import parse_prompts, prompted_frames

    config = find_preset(preset).with_settings(options.parse_settings(settings))
    kinds = parse_composites(composites or [])
    shown = Composites.of(overlay_file, kinds, background, sound=sound)
    paths = options.given_videos(videos, list_file)
    if masks is not None:
        if mask or point or box or fill_boxes:
            raise UsageError(
                "--mask, --fill-boxes, --point and --box are of one video, --masks of many"
            )
        _propagate_many(
            paths,
            masks,
            out,
            dry_run=dry_run,
            as_json=as_json,
            executor=lambda: options.chosen_executor(executor, device, address, workers),
            composites=shown,
            rles=rle_file,
            model=model,
            config=config,
            precision=precision,
            seed=seed,
            overwrite=overwrite,
        )
        return
    if len(paths) != 1:
        count = f"{len(paths)} videos were given" if paths else "no video was given"
        raise UsageError(
            f"{count}: give one VIDEO with --mask FILE, or any number with --masks FOLDER"
        )
    if executor != "local" or address or workers:
        raise UsageError("--executor, --address and --workers are for many videos with --masks")
    video = paths[0]
    prompts = parse_prompts(point or [], box or [])
    given = parse_mask_options(mask or []) if mask or not prompts else []
    if dry_run:
        options.check_model(model, seed)
        shown.check()
        opened, read, *_ = open_with_masks(video, given, fill_boxes=fill_boxes)
        plan = {
            "video": str(video),
            "size": [opened.height, opened.width],
            "frames": opened.frame_count,
            "annotated": sorted({*read, *prompted_frames(prompts, opened)}),
            "out": str(out),
        }
        typer.echo(json.dumps(plan) if as_json else f"would segment {plan}")
        return

    from vos.machine import device_name
    from vos.segmentation.run import propagate_to_files

    place = options.chosen_device(device)
    summary = propagate_to_files(
        video,
        given,
        out,
        prompts=prompts,
        composites=shown,
        fill_boxes=fill_boxes,
        rle_file=rle_file,
        model=model,
        config=config,
        device=place,
        precision=precision,
        seed=seed,
        overwrite=overwrite,
    )
    (result,) = summary.results.values()
    record = {
        **summary.to_dict(),
        "ids": result["ids"],
        "confidence": result.get("confidence", {}),
        "model": model,
        "precision": summary.precision,
        "device": device_name(place),
        "out": str(out),
    }
    if as_json:
        typer.echo(json.dumps(record))
        return
    typer.echo(
        f"{record['frames']} frames of objects {', '.join(map(str, record['ids']))} "
        f"in {record['seconds']['total']:.1f} s ({record['fps']:.1f} per second): {out}"
    )
    if record["confidence"]:
        unsure = min(record["confidence"], key=lambda id: record["confidence"][id]["lowest"])
        lowest = record["confidence"][unsure]
        share = f"{100 * lowest['lowest']:.0f} %"
        typer.echo(f"least sure: object {unsure} on frame {lowest['frame']} ({share})")


def _propagate_many(
    videos: list[Path],
    masks: Path,
    out: Path,
    *,
    dry_run: bool,
    as_json: bool,
    executor: Callable[[], Executor],
    **how: Any,
) -> None:
    from vos.runs.job import named
    from vos.segmentation.run import propagate_many

    if dry_run:
        options.check_model(how["model"], how["seed"])
        how["composites"].of_video("video").check()
        plan = {"videos": len(named(videos)), "masks": str(masks), "out": str(out)}
        typer.echo(json.dumps(plan) if as_json else f"would segment {plan}")
        return
    summary = propagate_many(videos, masks, out, executor=executor(), **how)
    record = {
        "videos": len(summary.results),
        **summary.to_dict(),
        "model": how["model"],
        "precision": summary.precision,
        "out": str(out.absolute()),
        "manifest": str(out.absolute() / "manifest.jsonl"),
    }
    if as_json:
        typer.echo(json.dumps(record))
        return
    typer.echo(
        f"{record['videos']} videos, {record['begun']} of them now, {record['frames']} frames, "
        f"in {record['seconds']['total']:.1f} s ({record['fps']:.1f} frames per second): {out}"
    )
