"""From the name of a data set to its sequences."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vos.datasets.davis import open_davis
from vos.datasets.sequence import Dataset
from vos.datasets.youtube_vos import open_youtube_vos
from vos.errors import MissingError, UsageError, near_names
from vos.files import as_path

NAMES = ("sample", "davis", "youtube-vos")


def open_dataset(
    name: str,
    root: Path | str | None = None,
    *,
    year: int = 2017,
    split: str | None = None,
    sequences: Iterable[str] | None = None,
) -> Dataset:
    """Open a data set by name.

    Args:
        name: ``sample`` (comes with vos), ``davis`` or ``youtube-vos``.
        root: the folder of the data; for ``sample``, one written by ``vos data sample``.
        year: 2016 or 2017, for ``davis``.
        split: ``val`` when None, ``valid`` for ``youtube-vos``.
        sequences: names to keep, in this order; None keeps all.

    Raises:
        UsageError: an unknown data set, year, split or sequence; near names are offered.
        MissingError: the data is not there; the message holds the command that gets it.
    """
    if root is not None:
        root = as_path(root, "root")
    if sequences is not None:
        sequences = _names(sequences)
    if name == "sample":
        from vos.datasets.sample import open_sample

        return open_sample(root=root, split=split, sequences=sequences)
    if name == "davis":
        if root is None:
            raise MissingError(
                f"`root` is needed: the DAVIS-{year} folder that holds JPEGImages and "
                f"Annotations; `vos data download davis-{year}` gets one"
            )
        return open_davis(root, year=year, split=split or "val", sequences=sequences)
    if name == "youtube-vos":
        if root is None:
            raise MissingError(
                "`root` is needed: the YouTube-VOS folder that holds valid/meta.json; its makers "
                "give it out at https://youtube-vos.org"
            )
        return open_youtube_vos(root, split=split, sequences=sequences)
    raise UsageError(f"unknown data set {name!r}: {near_names(name, NAMES)}")


def _names(sequences: Iterable[str]) -> list[str]:
    """Return names of sequences as a list; a single name is one."""
    if isinstance(sequences, str):
        return [sequences]
    if not isinstance(sequences, Iterable):
        raise UsageError(f"sequences are a list of names, not of type {type(sequences).__name__}")
    return list(sequences)
