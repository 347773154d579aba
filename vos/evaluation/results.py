"""Reading a results folder: ``<results>/<sequence>/<00000>.png``, one mask a frame of the truth.

Everything that would make a score meaningless is an error that names the file: the official
scorer stops, miscounts or passes over these in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vos.datasets import Dataset, Sequence
from vos.errors import InvalidResultsError, MissingError, VosError
from vos.media.masks import object_ids, read_palette_mask

VOID = 255


@dataclass(frozen=True)
class Task:
    """What has to be known to check and score any frame of a sequence.

    Attributes:
        sequence: name, which is also the name of the results folder.
        truth_paths: mask of each frame.
        result_paths: predicted mask of each frame.
        size: (height, width) of every mask.
        first_ids: ids in the true mask of frame 0.
        binary: every non-zero value is object 1 (DAVIS-2016).
    """

    sequence: str
    truth_paths: tuple[Path, ...]
    result_paths: tuple[Path, ...]
    size: tuple[int, int]
    first_ids: tuple[int, ...]
    binary: bool

    @property
    def objects(self) -> range:
        """Ids that are scored: like the official scorer, all from 1 to the highest of frame 0."""
        return range(1, max(self.first_ids, default=0) + 1)

    @property
    def scored_frames(self) -> range:
        """Indices of the frames that count: all but the first, which is given, and the last."""
        return range(1, len(self.truth_paths) - 1)

    def truth(self, index: int) -> np.ndarray:
        """True mask of a frame, (H, W) uint8 ids, 255 for void."""
        mask = read_palette_mask(self.truth_paths[index])
        if mask.shape != self.size:
            raise VosError(
                f"{self.truth_paths[index]} is {_size_words(mask.shape)} but frame 0 is "
                f"{_size_words(self.size)}: masks of a sequence must have one size"
            )
        return (mask != 0).astype(np.uint8) if self.binary else mask

    def result(self, index: int) -> np.ndarray:
        """Predicted mask of a frame, (H, W) uint8 ids.

        Raises:
            InvalidResultsError: the file cannot be read, is no mask, or is of another size.
        """
        path = self.result_paths[index]
        try:
            mask = read_palette_mask(path)
        except VosError as error:
            raise InvalidResultsError(str(error)) from error
        if mask.shape != self.size:
            raise InvalidResultsError(
                f"{path} is {_size_words(mask.shape)} but the truth is {_size_words(self.size)}: "
                "write masks at the size of the truth"
            )
        if self.binary and mask.max() == VOID and not ((mask != 0) & (mask != VOID)).any():
            return mask & 1
        return mask

    def check(self, index: int) -> None:
        """Read a predicted mask and see that it holds no object but those of frame 0.

        Raises:
            InvalidResultsError: see ``result``; or a foreign id.
        """
        mask = self.result(index)
        if mask.max() <= len(self.first_ids) == len(self.objects):
            return
        extra = sorted((set(object_ids(mask)) | {int(mask.max())}) - {0, *self.first_ids})
        if extra:
            raise InvalidResultsError(
                f"{self.result_paths[index]} holds the id {extra[0]}, but frame 0 of "
                f"{self.sequence} has only {_id_words(self.first_ids)}: "
                "write the ids of the first true mask, 0 for background"
            )


def plan_scoring(results: Path, dataset: Dataset) -> list[Task]:
    """One task a sequence, once it is sure that no file is missing.

    Raises:
        InvalidResultsError: the results folder, a sequence or a frame is missing.
        MissingError: the data set has no truth for a frame.
        VosError: a sequence is too short to be scored.
    """
    if not results.is_dir():
        raise InvalidResultsError(f"there is no results folder {results}")
    check_truth(dataset)
    return [_plan(results, sequence) for sequence in dataset.sequences]


def check_truth(dataset: Dataset) -> None:
    """See that results on ``dataset`` could be scored, before there are any.

    Raises:
        MissingError: the data set has no truth for a frame.
        VosError: a sequence is too short to be scored.
    """
    for sequence in dataset.sequences:
        missing = [path for path in sequence.mask_paths if not path.is_file()]
        if missing:
            raise MissingError(
                f"{sequence.name} cannot be scored: its true mask {missing[0]} is missing"
                f"{_and_more(missing)} (`vos data check {dataset.root}` lists all that is)"
            )
        if len(sequence) < 3:
            raise VosError(
                f"{sequence.name} has {len(sequence)} frames: the first and the last are not "
                "scored, so three are needed"
            )


def _plan(results: Path, sequence: Sequence) -> Task:
    folder = results / sequence.name
    if not folder.is_dir():
        raise InvalidResultsError(
            f"{folder} is missing: masks of {sequence.name} are expected there, "
            f"as {sequence.mask_paths[0].stem}.png and so on"
        )
    paths = tuple(folder / f"{path.stem}.png" for path in sequence.mask_paths)
    present = {path.name for path in folder.iterdir()}
    missing = [path for path in paths if path.name not in present]
    if missing:
        raise InvalidResultsError(
            f"{missing[0]} is missing{_and_more(missing)}: "
            f"every frame of {sequence.name} needs a mask, {len(paths)} in all"
        )
    first = read_palette_mask(sequence.mask_paths[0])
    ids = (1,) if sequence.binary and first.any() else tuple(object_ids(first))
    return Task(
        sequence=sequence.name,
        truth_paths=sequence.mask_paths,
        result_paths=paths,
        size=(first.shape[0], first.shape[1]),
        first_ids=() if sequence.binary and not first.any() else ids,
        binary=sequence.binary,
    )


def _size_words(size: tuple[int, ...]) -> str:
    return f"{size[1]} x {size[0]} pixels"


def _id_words(ids: tuple[int, ...]) -> str:
    return "the ids " + ", ".join(map(str, ids)) if ids else "no object"


def _and_more(paths: list[Path]) -> str:
    return f", and {len(paths) - 1} more" if len(paths) > 1 else ""
