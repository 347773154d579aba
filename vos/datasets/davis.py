"""DAVIS-2016 and DAVIS-2017 folders, each by its own list files and mask convention.

DAVIS-2016 (Perazzi et al., CVPR 2016): ``ImageSets/480p/<split>.txt`` holds one image-mask pair
a line, masks are 0 / 255. DAVIS-2017 (Pont-Tuset et al., arXiv:1704.00675):
``ImageSets/2017/<split>.txt`` holds one sequence name a line, masks hold object ids and 255 where
nobody can tell. The DAVIS-2017 archive lists the sequences of 2016 as well
(``ImageSets/2016/<split>.txt``, names); ``year=2016`` reads them with all objects merged.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

from vos.datasets.sequence import Dataset, Sequence
from vos.errors import MissingError, UsageError, VosError, near_names
from vos.media.listing import is_hidden, list_frames

RESOLUTIONS = {2016: ("480p", "1080p"), 2017: ("480p", "Full-Resolution")}


def open_davis(
    root: Path,
    *,
    year: int = 2017,
    split: str = "val",
    sequences: Iterable[str] | None = None,
    resolution: str = "480p",
) -> Dataset:
    """Open one split of a DAVIS folder.

    Args:
        root: the folder that holds ImageSets, JPEGImages and Annotations.
        year: 2016 (one foreground object) or 2017 (objects by id).
        split: name of a list file: train, val, test-dev, ...
        sequences: names to keep, in this order; None keeps all.
        resolution: folder below JPEGImages and Annotations.

    Raises:
        MissingError: the root, its lists, a frame or a first mask is missing.
        UsageError: no such year, resolution, split or sequence.
        VosError: a list file that makes no sense.
    """
    if year not in RESOLUTIONS:
        raise UsageError(f"no DAVIS of the year {year}: choose 2016 or 2017")
    if resolution not in RESOLUTIONS[year]:
        raise UsageError(
            f"no resolution {resolution!r} in DAVIS-{year}: "
            f"{near_names(resolution, RESOLUTIONS[year])}"
        )
    frames = read_split(root, year=year, split=split, resolution=resolution)
    names = list(frames) if sequences is None else _chosen(sequences, frames, split)
    opened = []
    for name in names:
        pairs = frames[name] or _pairs_in_folder(root, name, resolution)
        _check_complete(name, pairs)
        images, masks = zip(*pairs, strict=True)
        opened.append(Sequence(name, images, masks, binary=year == 2016))
    return Dataset(f"davis-{year}", root, split, tuple(opened))


def list_file(root: Path, *, year: int, split: str, resolution: str = "480p") -> Path:
    """Return the list of a split, which must exist.

    Raises:
        MissingError: the root or all its lists are missing.
        UsageError: there are other splits, or lists of the other year.
    """
    download = f"`vos data download davis-{year} --root {root}` gets it"
    if not root.is_dir():
        raise MissingError(f"no DAVIS folder at {root}: {download}")
    folders = list_folders(root, year, resolution)
    for folder in folders:
        path = folder / f"{split}.txt"
        if path.is_file():
            return path
    splits = splits_in(folders)
    if splits:
        raise UsageError(
            f"no split {split!r} of DAVIS-{year} in {root} "
            f"({folders[0] / f'{split}.txt'} is missing): {near_names(split, splits)}"
        )
    other = 2016 if year == 2017 else 2017
    if splits_in(list_folders(root, other, "480p")):
        raise UsageError(f"{root} holds lists of DAVIS-{other}, not {year}: add `year={other}`")
    raise MissingError(f"{root} has no list {folders[0] / f'{split}.txt'}: {download}")


def list_folders(root: Path, year: int, resolution: str) -> list[Path]:
    """Folders that may hold the lists of a year, the year's own layout first."""
    sets = root / "ImageSets"
    return [sets / "2017"] if year == 2017 else [sets / resolution, sets / "2016"]


def splits_in(folders: list[Path]) -> list[str]:
    """Names of the list files in ``folders``."""
    return sorted(
        {path.stem for folder in folders for path in folder.glob("*.txt") if not is_hidden(path)}
    )


def read_split(
    root: Path, *, year: int, split: str, resolution: str = "480p"
) -> dict[str, list[tuple[Path, Path]]]:
    """Sequences of a split in list order, each with its image-mask pairs.

    A list of names gives no pairs: the sequence then has the files of its folder.
    """
    path = list_file(root, year=year, split=split, resolution=resolution)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise VosError(f"cannot read the list {path}: {error}") from error
    frames: dict[str, list[tuple[Path, Path]]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if "/" not in line:
            frames.setdefault(line.strip(), [])
            continue
        pair = _parse_pair(root, line)
        if pair is None:
            raise VosError(f"{path}, line {number}: expected IMAGE MASK, found {line.strip()!r}")
        frames.setdefault(pair[0].parent.name, []).append(pair)
    if not frames:
        raise VosError(f"the list {path} is empty: it should name the sequences of {split!r}")
    return frames


def _parse_pair(root: Path, line: str) -> tuple[Path, Path] | None:
    """``/JPEGImages/480p/x y/00000.jpg /Annotations/480p/x y/00000.png``: names may hold spaces."""
    image, separator, mask = line.strip().partition(" /Annotations/")
    if not separator or not image.startswith("/JPEGImages/") or not mask:
        return None
    return root / image.lstrip("/"), root / "Annotations" / mask


def _chosen(
    sequences: Iterable[str], frames: dict[str, list[tuple[Path, Path]]], split: str
) -> list[str]:
    chosen = list(dict.fromkeys(sequences))
    for name in chosen:
        if name not in frames:
            raise UsageError(f"no sequence {name!r} in split {split!r}: {near_names(name, frames)}")
    if not chosen:
        raise UsageError("no sequence chosen: name at least one")
    return chosen


def _pairs_in_folder(root: Path, name: str, resolution: str) -> list[tuple[Path, Path]]:
    folder = root / "JPEGImages" / resolution / name
    if not folder.is_dir():
        raise MissingError(
            f"{folder} is missing: the list names the sequence {name} "
            f"(`vos data check {root}` lists all that is missing)"
        )
    masks = root / "Annotations" / resolution / name
    return [(image, masks / f"{image.stem}.png") for image in list_frames(folder)]


def numbering_gaps(stems: list[str]) -> list[str]:
    """Names missing from a run of numbered frames, at the step of the closest two.

    >>> numbering_gaps(["00000", "00001", "00003"])
    ['00002']
    """
    if len(stems) < 3 or not all(stem.isdecimal() for stem in stems):
        return []
    numbers = sorted(int(stem) for stem in stems)
    step = min(b - a for a, b in itertools.pairwise(numbers)) or 1
    missing = sorted(set(range(numbers[0], numbers[-1], step)) - set(numbers))
    return [str(number).zfill(len(stems[0])) for number in missing]


def _check_complete(name: str, pairs: list[tuple[Path, Path]]) -> None:
    """Refuse a data set that lacks frames: their absence would silently change every figure."""
    if not pairs:
        raise MissingError(f"the sequence {name} has no frames: `vos data check` lists the gaps")
    for image, _ in pairs:
        if not image.is_file():
            raise MissingError(f"frame {image} of {name} is missing")
    folder = pairs[0][0].parent
    gaps = numbering_gaps([image.stem for image, _ in pairs])
    if gaps:
        raise MissingError(
            f"frame {gaps[0]} of {name} is missing from {folder}"
            + (f", and {len(gaps) - 1} more" if len(gaps) > 1 else "")
        )
    if not pairs[0][1].is_file():
        raise MissingError(f"{name} has no mask for its first frame: {pairs[0][1]} is missing")
