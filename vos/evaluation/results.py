"""Reading a results folder: ``<results>/<sequence>/<00000>.png``, one mask a frame of the truth.

Everything that would make a score meaningless is an error that names the file: the official
scorer stops, miscounts or passes over these in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
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
        given_ids: ids of the first masks, which are all that results may hold.
        binary: every non-zero value is object 1 (DAVIS-2016).
        objects: ids that are scored.
        scored_frames: indices of the frames that count.
        begins: the frame in which an object is given, by id: it is scored behind that.
    """

    sequence: str
    truth_paths: tuple[Path, ...]
    result_paths: tuple[Path, ...]
    size: tuple[int, int]
    given_ids: tuple[int, ...]
    binary: bool
    objects: tuple[int, ...]
    scored_frames: tuple[int, ...]
    begins: Mapping[int, int]

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
        """Read a predicted mask and see that it holds no object but those that were given.

        Raises:
            InvalidResultsError: see ``result``; or a foreign id.
        """
        mask = self.result(index)
        if mask.max() <= len(self.given_ids) == max(self.given_ids, default=0):
            return
        extra = sorted((set(object_ids(mask)) | {int(mask.max())}) - {0, *self.given_ids})
        if extra:
            where = "frame 0" if set(self.begins.values()) <= {0} else "the first masks"
            raise InvalidResultsError(
                f"{self.result_paths[index]} holds the id {extra[0]}, but {where} of "
                f"{self.sequence} has only {_id_words(self.given_ids)}: "
                "write the ids of the first true mask, 0 for background"
            )


def plan_scoring(results: Path, dataset: Dataset) -> list[Task]:
    """Return one task per sequence, once it is sure that no file is missing.

    Raises:
        InvalidResultsError: the results folder, a sequence or a frame is missing.
        MissingError: the data set has no truth for a frame.
        VosError: a sequence is too short to be scored.
    """
    if not results.is_dir():
        raise InvalidResultsError(f"there is no results folder {results}")
    check_truth(dataset)
    masks = masks_of(results, dataset)
    return [_plan(masks, sequence) for sequence in scored_sequences(dataset)]


def masks_of(results: Path, dataset: Dataset) -> Path:
    """Return the folder of the masks in a results folder, which may be that folder itself."""
    inside = results / dataset.masks_folder
    return inside if inside.is_dir() else results


def scored_sequences(dataset: Dataset) -> list[Sequence]:
    """Return the sequences for which there is truth beyond what is given."""
    if only_first_masks(dataset):
        return []
    return [sequence for sequence in dataset if sequence.is_scored]


def only_first_masks(dataset: Dataset) -> bool:
    """Tell whether nothing but first masks was published, as of DAVIS test-dev."""
    return all(
        not sequence.begins and len(sequence) > 1 and sequence.annotated == (0,)
        for sequence in dataset
    )


def check_truth(dataset: Dataset) -> None:
    """See that results on ``dataset`` could be scored, before there are any.

    Where nothing but first masks was published there is nothing to score, and nothing to see.

    Raises:
        MissingError: the data set has no truth for a frame.
        VosError: a sequence is too short to be scored.
    """
    if only_first_masks(dataset):
        return
    for sequence in dataset.sequences:
        if sequence.begins:  # has truth for some frames, by design
            continue
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
    begins = dict(sequence.begins) or dict.fromkeys(_first_ids(sequence), 0)
    # Like the official DAVIS scorer: all ids up to the highest, without the last frame.
    davis = not sequence.begins
    objects = tuple(range(1, max(begins, default=0) + 1)) if davis else tuple(begins)
    frames = tuple(range(1, len(paths) - 1)) if davis else sequence.annotated
    return Task(
        sequence=sequence.name,
        truth_paths=sequence.mask_paths,
        result_paths=paths,
        size=_mask_size(sequence),
        given_ids=tuple(begins),
        binary=sequence.binary,
        objects=objects,
        scored_frames=tuple(index for index in frames if index > min(begins.values(), default=0)),
        begins=begins,
    )


def _first_ids(sequence: Sequence) -> list[int]:
    first = read_palette_mask(sequence.mask_paths[0])
    if sequence.binary:
        return [1] if first.any() else []
    return object_ids(first)


def _mask_size(sequence: Sequence) -> tuple[int, int]:
    height, width = read_palette_mask(sequence.mask_paths[sequence.annotated[0]]).shape
    return height, width


def _size_words(size: tuple[int, ...]) -> str:
    return f"{size[1]} x {size[0]} pixels"


def _id_words(ids: tuple[int, ...]) -> str:
    return "the ids " + ", ".join(map(str, ids)) if ids else "no object"


def _and_more(paths: list[Path]) -> str:
    return f", and {len(paths) - 1} more" if len(paths) > 1 else ""
