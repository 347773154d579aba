"""Options that several commands share, and messages to the person at the terminal."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vos.errors import UsageError
from vos.progress import set_quiet

if TYPE_CHECKING:
    import torch

    from vos.scheduling import Executor as TaskExecutor

log = logging.getLogger("vos")


def _be_quiet(quiet: bool) -> None:
    if quiet:
        set_quiet(True)
        log.setLevel(logging.ERROR)


def _be_verbose(verbose: bool) -> None:
    if verbose:
        log.setLevel(logging.DEBUG)


Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON and nothing else on stdout.")
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", callback=_be_quiet, help="No progress, no messages.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", callback=_be_verbose, help="More messages.")
]
Precision = Annotated[
    str,
    typer.Option(
        help="Of the network: auto (int8 on a processor where the weights come with it, else "
        "float32), float32, int8, and for GPUs bfloat16 and float16."
    ),
]
Seed = Annotated[int, typer.Option(help="Decides random weights.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Start anew instead of going on where a run stopped.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")]
Model = Annotated[
    str,
    typer.Option(
        help="A name of `vos models`, a checkpoint folder, package.module:NAME of your own, "
        "FILE.pth,family=NAME, timm:NAME, a hub id."
    ),
]
Preset = Annotated[
    str,
    typer.Option(
        help="Protocol: default, fast, fine, thorough, crw, walk, dino, dinov3, vfs, dul or fmicon."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a choice of the preset: --set radius=9. Repeatable."),
]
_MANY = "Many videos"
Executor = Annotated[
    str,
    typer.Option(
        "--executor",
        "--engine",
        help="local (this machine) or ray (a cluster: a worker per GPU, else per core).",
        rich_help_panel=_MANY,
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Of the Ray cluster.",
        show_default="$RAY_ADDRESS, else Ray on this machine",
        rich_help_panel=_MANY,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="How many at once.",
        show_default="local 1, ray one per device",
        rich_help_panel=_MANY,
    ),
]
ListFile = Annotated[
    Path | None,
    typer.Option("--list", help="More videos, one path per line.", rich_help_panel=_MANY),
]
Masks = Annotated[
    Path | None,
    typer.Option(
        help="Folder of VIDEO.png or VIDEO/FRAME.png, for many videos.", rich_help_panel=_MANY
    ),
]
Out = Annotated[Path | None, typer.Option(help="Folder of the results.")]
Dataset = Annotated[str, typer.Option(help="sample (built in), davis or youtube-vos.")]
Root = Annotated[Path | None, typer.Option(help="Folder of the data set.")]
Year = Annotated[int, typer.Option(help="DAVIS 2016 (one object) or 2017.")]
Split = Annotated[
    str | None, typer.Option(help="List of sequences.", show_default="val; youtube-vos: valid")
]
Sequences = Annotated[str | None, typer.Option(help="Only these sequences, separated by commas.")]


def set_up_messages() -> None:
    """Send the messages of vos to standard error, plainly."""
    if not log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
        if log.level == logging.NOTSET:
            log.setLevel(logging.INFO)


def chosen_device(name: str) -> torch.device:
    """Return the device for ``name``; the choice is told on standard error."""
    from vos.machine import device_name, resolve_device

    device = resolve_device(name)
    set_up_messages()
    log.info("device: %s", device_name(device))
    return device


def chosen_executor(
    name: str, device: str, address: str | None, workers: int | None
) -> TaskExecutor:
    """Return the executor; its device is told on standard error."""
    from vos.machine import device_name
    from vos.scheduling import choose_executor

    set_up_messages()
    if address is not None and name == "local":
        raise UsageError("--address is that of a cluster: add --executor ray")
    executor = choose_executor(name, device=device, address=address, workers=workers)
    if name == "local":
        import torch

        log.info("device: %s", device_name(torch.device(executor.device)))
    return executor


def given_videos(videos: list[Path] | None, list_file: Path | None) -> list[Path]:
    """Return the videos of arguments and of a list file; a folder of videos stands for those in it.

    Raises:
        UsageError: an address.
        MissingError: there is no such list.
        VosError: it cannot be read, or names no video.
    """
    from vos.media.listing import videos_in
    from vos.runs.job import read_list

    paths = [*(videos or []), *(read_list(list_file) if list_file else [])]
    for path in paths:
        if re.match(r"[a-z]+:/", str(path)) and not path.exists():
            raise UsageError(
                f"{path} is an address, which is read once, forwards: fetch the file, or call "
                "vos.propagate(ADDRESS, ...) in Python"
            )
    return [video for path in paths for video in videos_in(path)]


def check_model(spec: str, seed: int) -> None:
    """See, for `--dry-run`, that a model is there and can be loaded.

    Raises:
        UsageError: an unknown model.
        MissingError: weights that cannot be had.
    """
    from vos.backbones import load

    load(spec, seed=seed)


def parse_settings(pairs: list[str] | None) -> dict[str, str]:
    """``["k=5"]`` as a dictionary.

    Raises:
        UsageError: something that is not NAME=VALUE.
    """
    settings = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals or not name or not value:
            raise UsageError(f"--set takes NAME=VALUE, not {pair!r}")
        settings[name.strip()] = value.strip()
    return settings


def parse_names(text: str | None) -> list[str] | None:
    """Return ``"a, b"`` as a list; None stays None (all)."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("--sequences names no sequence")
    return names
