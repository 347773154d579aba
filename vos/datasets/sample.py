"""The ``sample`` data set: six short clips that come with vos, with exact masks and point tracks.

Clips of 28 to 40 frames in DAVIS-2017 layout, two to five textured objects each, that translate,
rotate, scale, deform and occlude one another before moving textured backgrounds. Objects and
background share colours, some objects are twins, light changes: matching by colour alone does
badly. It is no benchmark for papers; it is there so that everything can be tried, tested and shown
without a download.

It was rendered by a program of its own, ``tools/render_sample.py``, and travels as files.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vos.datasets.davis import open_davis
from vos.datasets.sequence import Dataset
from vos.errors import MissingError, UsageError, VosError, near_names
from vos.files import check_new_folder, move_into

SPLIT = "val"
LISTS = Path("ImageSets") / "2017"
TRACKS_NAME = "tracks.npz"


class Tracks(NamedTuple):
    """Where N points are in the T frames of a clip.

    Attributes:
        points: (T, N, 2) float64 pixel coordinates x, y; (0, 0) is the centre of the top left
            pixel. Points outside the frame or behind other things have their place all the same;
            NaN where the thing itself hides them.
        visible: (T, N) bool, whether the frame shows them.
    """

    points: np.ndarray
    visible: np.ndarray


def sample_folder() -> Path:
    """Return the folder of the sample: it comes with vos and is only read."""
    return Path(__file__).with_name("sample_data")


def open_sample(
    *,
    root: Path | str | None = None,
    split: str | None = None,
    sequences: Iterable[str] | None = None,
) -> Dataset:
    """Open the sample.

    Args:
        root: a folder written by ``copy_sample`` to read instead.
        split: the sample has one, ``val``.
        sequences: names to keep, in this order.

    Raises:
        UsageError: another split, or an unknown sequence.
        MissingError: ``root`` holds no sample.
    """
    if split not in (None, SPLIT):
        raise UsageError(f"the sample has no split {split!r}: it has one, {SPLIT}")
    folder = sample_folder() if root is None else Path(root)
    if not folder.is_dir():
        raise MissingError(f"no sample at {folder}: `vos data sample {folder}` writes it")
    opened = open_davis(folder, split=SPLIT, sequences=sequences)
    return replace(opened, name="sample")


def copy_sample(folder: Path) -> None:
    """Copy the sample into a new or empty folder, whole or not at all.

    Raises:
        UsageError: the folder holds something already.
        VosError: it cannot be written.
    """
    check_new_folder(folder, "the sample")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent)
        with temporary as place:
            whole = Path(place) / "sample"
            shutil.copytree(sample_folder(), whole, copy_function=shutil.copyfile)
            move_into(folder, whole)
    except OSError as error:
        raise VosError(f"cannot write {folder}: {error.strerror or error}") from error


def sample_tracks(sequence: str) -> Tracks:
    """Return exact tracks of eight points per object of a clip, chosen on its first frame.

    Points of object 1 come first, then those of object 2, and so on.

    Args:
        sequence: name of a clip of the sample.

    Raises:
        UsageError: an unknown clip.

    Example:
        >>> sample_tracks("pond").points.shape
        (32, 40, 2)
    """
    with np.load(sample_folder() / TRACKS_NAME) as tracks:
        names = [name.removesuffix("/points") for name in tracks if name.endswith("/points")]
        if sequence not in names:
            raise UsageError(f"the sample has no clip {sequence!r}: {near_names(sequence, names)}")
        return Tracks(tracks[f"{sequence}/points"], tracks[f"{sequence}/visible"])
