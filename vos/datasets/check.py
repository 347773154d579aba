"""Is a DAVIS folder whole? Lists what is missing or malformed, file by file."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vos.datasets.davis import (
    list_file,
    list_folders,
    numbering_gaps,
    read_split,
    splits_in,
)
from vos.errors import MissingError, VosError
from vos.media.images import read_image
from vos.media.listing import in_natural_order, is_hidden, list_frames
from vos.media.masks import object_ids, read_palette_mask
from vos.media.painted_masks import read_mask
from vos.progress import progress


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a data set, and the file it is wrong with."""

    path: Path
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


@dataclass(frozen=True)
class Check:
    """What was looked at and what was found."""

    root: Path
    year: int
    splits: tuple[str, ...]
    sequences: int
    frames: int
    masks: int
    problems: tuple[Problem, ...]


def check_davis(
    root: Path, *, year: int = 2017, split: str | None = None, resolution: str = "480p"
) -> Check:
    """Read every frame and mask of a split (of all splits when None) and note what is wrong.

    A sequence that has a mask for its first frame only is whole: that is how test-dev is
    published. Objects that appear after the first frame are a problem: the protocol cannot
    follow what it was not shown.

    Raises:
        MissingError: there is no folder or no list at all.
        UsageError: the split is unknown, or the lists are those of the other year.
    """
    splits = (split,) if split else tuple(splits_in(list_folders(root, year, resolution)))
    for name in splits or ("val",):
        list_file(root, year=year, split=name, resolution=resolution)  # says what is missing
    problems: list[Problem] = []
    listed: dict[str, list[tuple[Path, Path]]] = {}
    for name in splits:
        try:
            listed |= read_split(root, year=year, split=name, resolution=resolution)
        except MissingError:
            raise
        except VosError as error:
            path = list_file(root, year=year, split=name, resolution=resolution)
            problems.append(Problem(path, _without(path, error)))
    surveys = [
        _Survey(root, name, pairs, resolution, binary=year == 2016)
        for name, pairs in listed.items()
    ]
    with ThreadPoolExecutor() as pool:  # decoding lets other threads run
        found = pool.map(lambda survey: list(survey.problems()), surveys)
        for some in progress(found, total=len(surveys), description="checking", unit="sequence"):
            problems += some
    frames, masks = sum(s.frames for s in surveys), sum(s.masks for s in surveys)
    return Check(root, year, splits, len(listed), frames, masks, tuple(problems))


class _Survey:
    """The files of one sequence, each read once."""

    def __init__(
        self,
        root: Path,
        name: str,
        pairs: list[tuple[Path, Path]],
        resolution: str,
        *,
        binary: bool,
    ) -> None:
        self.image_folder = root / "JPEGImages" / resolution / name
        self.mask_folder = root / "Annotations" / resolution / name
        self.listed = pairs
        self.binary = binary
        self.frames = 0
        self.masks = 0

    def problems(self) -> Iterator[Problem]:
        if not self.image_folder.is_dir():
            yield Problem(self.image_folder, "the folder of frames is missing")
            return
        try:
            pairs = self.listed or [
                (image, self.mask_folder / f"{image.stem}.png")
                for image in list_frames(self.image_folder)
            ]
        except VosError as error:
            yield Problem(self.image_folder, _without(self.image_folder, error))
            return
        yield from self._gaps(pairs)
        yield from self._strays(pairs)
        sizes: list[tuple[int, int]] = []
        for image, _ in pairs:
            yield from self._frame(image, sizes)
        yield from self._all_masks(pairs, sizes[0] if sizes else None)

    def _gaps(self, pairs: list[tuple[Path, Path]]) -> Iterator[Problem]:
        for stem in numbering_gaps([image.stem for image, _ in pairs]):
            yield Problem(pairs[0][0].with_stem(stem), "missing: a gap in the numbering")

    def _strays(self, pairs: list[tuple[Path, Path]]) -> Iterator[Problem]:
        known = {mask.name for _, mask in pairs}
        if self.mask_folder.is_dir():
            for mask in in_natural_order(self.mask_folder.glob("*.png")):
                if mask.name not in known and not is_hidden(mask):
                    yield Problem(mask, "a mask without a frame")

    def _frame(self, path: Path, sizes: list[tuple[int, int]]) -> Iterator[Problem]:
        """Check one frame; ``sizes`` collects those that could be read, the first is the rule."""
        if not path.is_file():
            yield Problem(path, "the frame is missing")
            return
        self.frames += 1
        try:
            height, width = read_image(path).shape[:2]
        except VosError as error:
            yield Problem(path, _without(path, error))
            return
        sizes.append((height, width))
        if (height, width) != sizes[0]:
            expected = f"{sizes[0][1]} x {sizes[0][0]}"
            yield Problem(path, f"{width} x {height}, but the first frame is {expected}")

    def _all_masks(
        self, pairs: list[tuple[Path, Path]], size: tuple[int, int] | None
    ) -> Iterator[Problem]:
        masks = [mask for _, mask in pairs]
        if not masks[0].is_file():
            yield Problem(masks[0], "the mask of the first frame is missing")
        present = [mask for mask in masks if mask.is_file()]
        self.masks = len(present)
        if len(present) > 1:
            for mask in masks[1:]:
                if not mask.is_file():
                    yield Problem(mask, "the mask is missing")
        first: list[int] | None = None
        for path in present:
            try:
                ids = object_ids(self._read(path, size))
            except VosError as error:
                yield Problem(path, _without(path, error))
                continue
            if path == masks[0]:
                first = ids
                if not ids:
                    yield Problem(path, "the first mask holds no object")
            elif first is not None and (new := sorted(set(ids) - set(first))):
                objects = ", ".join(map(str, new))
                yield Problem(path, f"object {objects} is not in the first mask, {masks[0].name}")

    def _read(self, path: Path, size: tuple[int, int] | None) -> np.ndarray:
        if self.binary:
            return (read_mask(path, size=size) != 0).astype(np.uint8)
        return read_palette_mask(path, size=size)


def _without(path: Path, error: VosError) -> str:
    """Return the message of an error without the path it starts with."""
    text = str(error)
    for start in (
        f"{path}: ",
        f"{path} ",
        f"cannot read {path}: ",
        f"cannot read the list {path}: ",
    ):
        text = text.removeprefix(start)
    return text
