"""YouTube-VOS (Xu et al., ECCV 2018): sparse truth, and objects that appear late.

``<root>/<split>/JPEGImages/<video>/<frame>.jpg``, ``Annotations/<video>/<frame>.png`` and
``meta.json``, which says for every object of every video in which frames it is. In ``train`` each
fifth frame has a mask. In ``valid`` a mask is there only where an object begins, and shows only the
objects that begin in it: the truth is with the official server, which takes a folder
``Annotations/<video>/<frame>.png``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vos.datasets.sequence import Dataset, Sequence
from vos.errors import MissingError, UsageError, VosError, near_names
from vos.files import read_json
from vos.media.listing import list_frames

SPLITS = ("train", "valid", "test")
META = "meta.json"


def open_youtube_vos(
    root: Path, *, split: str | None = None, sequences: Iterable[str] | None = None
) -> Dataset:
    """Open one split of a YouTube-VOS folder.

    Args:
        root: the folder of the splits, or that of one split.
        split: its folder; ``valid`` when None.
        sequences: names of videos to keep, in this order; None keeps all.

    Raises:
        MissingError: the root, its meta.json, a video or a first mask is missing.
        UsageError: no such split or video.
        VosError: a meta.json that makes no sense.
    """
    folder, split = _split_folder(root, split)
    videos = _read_meta(folder / META)
    names = list(videos) if sequences is None else list(dict.fromkeys(sequences))
    for name in names:
        if name not in videos:
            raise UsageError(f"no video {name!r} in split {split!r}: {near_names(name, videos)}")
    opened = tuple(_sequence(folder, name, videos[name]) for name in names)
    return Dataset("youtube-vos", root, split, opened, masks_folder="Annotations")


def _split_folder(root: Path, split: str | None) -> tuple[Path, str]:
    if not root.is_dir():
        raise MissingError(f"no YouTube-VOS folder at {root}: it is at https://youtube-vos.org")
    if (root / META).is_file():
        if split not in (None, root.name):
            raise UsageError(f"{root} is a split by itself: leave `split` out")
        return root, root.name
    splits = sorted(path.parent.name for path in root.glob(f"*/{META}"))
    if not splits:
        raise MissingError(f"{root} has no {SPLITS[1]}/{META}: give the folder of the splits")
    split = split or "valid"
    if split not in splits:
        raise UsageError(f"no split {split!r} in {root}: {near_names(split, splits)}")
    return root / split, split


def _read_meta(path: Path) -> dict[str, dict[int, str]]:
    """Return the name of the frame in which each object begins, by video and object id."""
    content = read_json(path)
    try:
        videos = {
            name: {int(number): _first(entry) for number, entry in video["objects"].items()}
            for name, video in content["videos"].items()
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise VosError(
            f"{path} is not that of YouTube-VOS: objects with their frames are expected below "
            f"videos ({type(error).__name__}: {error})"
        ) from error
    if not videos:
        raise VosError(f"{path} names no video")
    for name, objects in videos.items():
        bad = [number for number in objects if not 1 <= number <= 254]
        if bad or not objects:
            what = f"the object id {bad[0]}" if bad else "no objects"
            raise VosError(f"{path} gives the video {name} {what}: ids lie between 1 and 254")
    return videos


def _first(entry: dict[str, Any]) -> str:
    frames = entry["frames"]
    if not frames:
        raise ValueError("an object without frames")
    return min(map(str, frames))


def _sequence(folder: Path, name: str, objects: dict[int, str]) -> Sequence:
    images = folder / "JPEGImages" / name
    if not images.is_dir():
        raise MissingError(f"{images} is missing: {META} names the video {name}")
    frames = list_frames(images)
    places = {path.stem: index for index, path in enumerate(frames)}
    masks = tuple(folder / "Annotations" / name / f"{path.stem}.png" for path in frames)
    begins = []
    for object_id, stem in sorted(objects.items()):
        if stem not in places:
            raise MissingError(
                f"{images / stem}.jpg is missing: object {object_id} of {name} begins in it"
            )
        if not masks[places[stem]].is_file():
            raise MissingError(
                f"{masks[places[stem]]} is missing: object {object_id} of {name} begins in it"
            )
        begins.append((object_id, places[stem]))
    return Sequence(name, tuple(frames), masks, begins=tuple(begins))
