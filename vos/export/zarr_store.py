"""Features as zarr v3: one chunk per frame, several frames per shard, a shard the unit of work.

A shard file appears whole or not at all, so that what is there after an interruption is finished,
and the same command goes on behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from vos.errors import MissingError, VosError
from vos.export.format import ARRAY, COLLECTION
from vos.files import read_json

if TYPE_CHECKING:
    from vos.export.stream import FeatureStream
    from vos.runs.folder import RunFolder

SHARD_BYTES = 32 * 2**20


def import_zarr() -> ModuleType:
    """Return the library zarr, or say how to install it.

    Raises:
        MissingError: the extra is not installed.
    """
    try:
        import zarr
    except ImportError as error:
        raise MissingError("zarr is missing: pip install 'vos-propagation[export]'") from error
    return zarr


def frames_per_shard(stream: FeatureStream) -> int:
    """As many frames as fill about 32 MiB, but no more than there are."""
    return min(max(1, SHARD_BYTES // stream.bytes_per_frame), stream.shape[0])


class ZarrStore:
    """The store of one video: a group that holds ``features``, ``frame_indices`` and ``times``.

    Args:
        path: folder of the group; made if need be.
        stream: what it is to hold.
        folder: the record of what is written.

    Raises:
        UsageError: the folder holds files that are not of this run.
        MissingError: zarr is not installed.
        VosError: the folder cannot be written.
    """

    def __init__(self, path: Path, stream: FeatureStream, folder: RunFolder) -> None:
        self.path = path
        self.stream = stream
        self.folder = folder
        zarr = import_zarr()
        try:
            self.array = self._create_or_open(zarr)
        except OSError as error:
            raise VosError(f"cannot write {path}: {error.strerror or error}") from error

    def write(self) -> Iterator[int]:
        """Compute and write what is missing, a shard at a time; yields each frame's number."""
        for start, stop in missing_shards(self.path, self.array):
            shard = np.empty((stop - start, *self.stream.shape[1:]), self.stream.dtype)
            for offset, feature in enumerate(self.stream.read(start, stop)):
                shard[offset] = feature
                yield start + offset
            try:
                with self.folder.claiming(shard_path(self.path, self.array, start)):
                    self.array[start:stop] = shard
            except OSError as error:
                raise VosError(f"cannot write {self.path}: {error.strerror or error}") from error

    def _create_or_open(self, zarr: ModuleType) -> Any:
        if (self.path / ARRAY / "zarr.json").is_file():
            return zarr.open_group(self.path, mode="r+")[ARRAY]
        files = [self.path / "zarr.json", self.path / ARRAY / "zarr.json"]
        for name in ("frame_indices", "times"):
            files += [self.path / name / "zarr.json", self.path / name / "c" / "0"]
        with self.folder.claiming(*files):
            return _create(zarr, self.path, self.stream)


def missing_shards(path: Path, array: Any) -> list[tuple[int, int]]:
    """First and last (not included) frame of each shard that is not there yet."""
    frames, step = array.shape[0], (array.shards or array.chunks)[0]
    return [
        (start, min(start + step, frames))
        for start in range(0, frames, step)
        if not shard_path(path, array, start).is_file()
    ]


def shard_path(path: Path, array: Any, start: int) -> Path:
    """Return the file of the shard that begins with a frame."""
    number = start // (array.shards or array.chunks)[0]
    return path / ARRAY / array.metadata.encode_chunk_key((number, 0, 0, 0))


def holds_collection(path: Path) -> bool:
    """Return whether the folder is a group of such stores."""
    return _attributes(path).get("format") == COLLECTION


def start_collection(path: Path, folder: RunFolder) -> None:
    """Make the group that holds the stores of several videos, or go on in it.

    Raises:
        UsageError: there is something else that is not of this run.
        VosError: it cannot be written.
    """
    zarr = import_zarr()
    if holds_collection(path) and folder.owns(path / "zarr.json"):
        return
    try:
        with folder.claiming(path / "zarr.json"):
            zarr.create_group(path, attributes={"format": COLLECTION})
    except OSError as error:
        raise VosError(f"cannot write {path}: {error.strerror or error}") from error


def _attributes(path: Path) -> dict[str, Any]:
    """Attributes of a zarr v3 group; empty where there is none."""
    if not (path / "zarr.json").is_file():
        return {}
    return dict(read_json(path / "zarr.json").get("attributes", {}))


def _create(zarr: ModuleType, path: Path, stream: FeatureStream) -> Any:
    description = stream.description()
    group = zarr.open_group(path, mode="a", attributes=description)
    for name, values in (("frame_indices", stream.frame_indices), ("times", stream.times)):
        array = group.create_array(
            name,
            data=values,
            chunks=values.shape,
            dimension_names=("time",),
            compressors=None,
            overwrite=True,
        )
        array.attrs["units"] = {"frame_indices": "frames of the source", "times": "s"}[name]
    # Last, because a group that has it is complete but for its shards.
    frame = stream.shape[1:]
    return group.create_array(
        ARRAY,
        shape=stream.shape,
        dtype=stream.dtype,
        chunks=(1, *frame),
        shards=(frames_per_shard(stream), *frame),
        compressors=zarr.codecs.ZstdCodec(level=1),
        fill_value=np.nan,  # a frame that is not there yet must not look like one
        dimension_names=("time", "channel", "y", "x"),
        attributes=description,
        config={"write_empty_chunks": True},
    )
