"""Reading exported features: any frame at once, at any pixel, at any size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vos.errors import MissingError, UsageError, VosError
from vos.export.format import ARRAY, FORMAT
from vos.export.geometry import Geometry, resize_map, sample_map
from vos.export.single_file import SUFFIXES, read_description
from vos.files import as_path


class Features:
    """The features of one video on disk; opened by `vos.open_features`.

    Attributes:
        path: the store or file.
        attributes: what `vos export` wrote down: source, size, fps, model, weights_sha256, ...
        frame_indices: (T,) int64, the frame number in the source of each feature map.
        times: (T,) float64 seconds.
        geometry: where the tokens lie on the frame.
    """

    def __init__(
        self,
        path: Path,
        array: Any,
        attributes: dict[str, Any],
        frame_indices: np.ndarray,
        times: np.ndarray,
    ) -> None:
        self.path = path
        self.attributes = attributes
        self.frame_indices = frame_indices
        self.times = times
        self._array = array

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, C, h, w)"""
        frames, channels, rows, columns = self._array.shape
        return int(frames), int(channels), int(rows), int(columns)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.attributes["precision"])

    @cached_property
    def geometry(self) -> Geometry:
        known = self.attributes
        return Geometry(
            (known["size"][0], known["size"][1]),
            (known["input_size"][0], known["input_size"][1]),
            self.shape[2:],
            known["stride"],
            known["token_centre"],
        )

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, t: int | slice | Sequence[int]) -> np.ndarray:
        """Feature maps by number: (C, h, w) of one, (n, C, h, w) of a slice, a list or a choice.

        Only the frames asked for are read. Numbers count the exported frames, negative ones from
        the end; ``frame_indices`` tells which frames of the source they are. A choice is an array
        of a bool per frame.

        Raises:
            IndexError: there is no such frame, or an index of more than frames.
        """
        if isinstance(t, tuple):
            raise IndexError("features are indexed by frame alone: features[frame][channel, ...]")
        if isinstance(t, slice):
            numbers = range(*t.indices(len(self)))
            if numbers.step == 1:
                return np.asarray(self._array[numbers.start : max(numbers.start, numbers.stop)])
            return self[list(numbers)]
        if isinstance(t, Sequence | np.ndarray):
            maps = [self[int(number)] for number in _chosen(t, len(self))]
            return np.stack(maps) if maps else np.empty((0, *self.shape[1:]), self.dtype)
        number = int(t) + len(self) if t < 0 else int(t)
        if not 0 <= number < len(self):
            raise IndexError(f"{self.path} has {len(self)} frames, there is no number {t}")
        return np.asarray(self._array[number : number + 1])[0]

    def resize(self, t: int, size: tuple[int, int] | None = None) -> np.ndarray:
        """Return the features of every pixel of one frame, by bilinear interpolation.

        Args:
            t: number of the frame.
            size: (height, width) of the picture of the whole frame; None takes the source's.

        Returns:
            (C, height, width) float32.
        """
        return resize_map(self[t], self.geometry, size or self.geometry.size)

    def sample(self, t: int, points: ArrayLike) -> np.ndarray:
        """Return the features at points of one frame, by bilinear interpolation.

        Args:
            t: number of the frame.
            points: (N, 2) pixel coordinates x, y of the source, an array or a list of pairs;
                (0, 0) is the centre of the top left pixel.

        Returns:
            (N, C) float32.

        Raises:
            UsageError: a point outside the frame.
        """
        points = self.geometry.check_inside(points)
        return sample_map(self[t], self.geometry.to_tokens(points))

    def __repr__(self) -> str:
        return f"Features({str(self.path)!r}, {self.shape} {self.dtype})"


def open_features(path: str | Path) -> Features:
    """Open what `vos export` wrote.

    Args:
        path: a ``.zarr`` folder, a ``.npz`` or a ``.safetensors`` file; for a store of several
            videos, ``PATH.zarr/NAME``.

    Raises:
        MissingError: nothing there, or zarr is not installed.
        UsageError: a store of several videos.
        VosError: damaged, unfinished, or not written by `vos export`.

    Example:
        >>> features = vos.open_features("clip.zarr")  # doctest: +SKIP
        >>> features[3].shape, features.sample(3, [(200, 120)]).shape  # doctest: +SKIP
        ((128, 60, 107), (1, 128))
    """
    path = as_path(path, "the features")
    if not path.exists():
        raise MissingError(f"there are no features at {path}: `vos export VIDEO --out {path}`")
    return _open_file(path) if path.is_file() else _open_store(path)


def _open_file(path: Path) -> Features:
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{path} is no .zarr, .npz or .safetensors")
    description = read_description(path)
    names = ("features", "frame_indices", "times")
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            array, indices, times = (archive[name] for name in names)
        return Features(path, array, description, indices, times)
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        indices, times = file.get_tensor("frame_indices"), file.get_tensor("times")
    return Features(path, _SafetensorsArray(path), description, indices, times)


class _SafetensorsArray:
    """Slices of ``features``, read from the file when asked for."""

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        self._slice = safe_open(path, "np").get_slice("features")
        self.shape = tuple(self._slice.get_shape())

    def __getitem__(self, frames: slice) -> np.ndarray:
        if frames.start >= frames.stop:
            return np.empty((0, *self.shape[1:]), np.float32)
        return self._slice[frames]


def _chosen(frames: Sequence[int] | np.ndarray, count: int) -> Iterable[int]:
    """Return numbers as they are, those that are true of a bool per frame."""
    choice = np.asarray(frames)
    if choice.dtype != bool:
        return frames
    if choice.shape != (count,):
        raise IndexError(f"a choice of frames has {count} values, not {choice.size}")
    return np.flatnonzero(choice).tolist()


def _open_store(path: Path) -> Features:
    from vos.export.zarr_store import holds_collection, import_zarr, missing_shards

    zarr = import_zarr()
    if holds_collection(path):
        names = sorted(item.name for item in path.iterdir() if (item / "zarr.json").is_file())
        raise UsageError(
            f"{path} holds several videos, open one of them: "
            + ", ".join(f"{path / name}" for name in names[:3])
            + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        )
    try:
        group = zarr.open_group(path, mode="r")
        attributes = dict(group.attrs)
        array, indices, times = group[ARRAY], group["frame_indices"], group["times"]
    except (OSError, KeyError, ValueError) as error:
        raise VosError(f"{path} was not written by vos export ({error})") from error
    if attributes.get("format") != FORMAT:
        raise VosError(f"{path} was not written by vos export")
    missing = sum(stop - start for start, stop in missing_shards(path, array))
    if missing:
        raise VosError(
            f"{path} is not finished, {missing} of {array.shape[0]} frames are missing: "
            "give the same vos export command again"
        )
    return Features(path, array, attributes, indices[:], times[:])
