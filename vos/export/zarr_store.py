"""Features as zarr v3: one chunk a frame, several frames a shard, a shard the unit of work.

A shard file appears whole or not at all, so that what is there after an interruption is finished,
and the same command goes on behind it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from vos.errors import MissingError, UsageError, VosError
from vos.export.layout import ARRAY, COLLECTION, FORMAT
from vos.files import read_json

if TYPE_CHECKING:
    from vos.export.stream import FeatureStream

SHARD_BYTES = 32 * 2**20


def import_zarr() -> ModuleType:
    """zarr, or what to do about it.

    Raises:
        MissingError: the extra is not installed.
    """
    try:
        import zarr
    except ImportError as error:
        raise MissingError("zarr is missing: pip install 'vos-propagation[export]'") from error
    return zarr


def frames_a_shard(stream: FeatureStream) -> int:
    """As many frames as fill about 32 MiB, but no more than there are."""
    return min(max(1, SHARD_BYTES // stream.bytes_a_frame), stream.shape[0])


class ZarrStore:
    """The store of one video: a group that holds ``features``, ``frame_indices`` and ``times``.

    Args:
        path: folder of the group; made if need be.
        stream: what it is to hold.

    Raises:
        UsageError: the folder holds something else.
        MissingError: zarr is not installed.
        VosError: the folder cannot be written.
    """

    def __init__(self, path: Path, stream: FeatureStream) -> None:
        self.path = path
        self.stream = stream
        zarr = import_zarr()
        check_free(path)
        try:
            self.array = _create_or_open(zarr, path, stream)
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
                self.array[start:stop] = shard
            except OSError as error:
                raise VosError(f"cannot write {self.path}: {error.strerror or error}") from error


def missing_shards(path: Path, array: Any) -> list[tuple[int, int]]:
    """First and last (not included) frame of each shard that is not there yet."""
    frames, step = array.shape[0], (array.shards or array.chunks)[0]
    spans = []
    for number, start in enumerate(range(0, frames, step)):
        key = array.metadata.encode_chunk_key((number, 0, 0, 0))
        if not (path / ARRAY / key).is_file():
            spans.append((start, min(start + step, frames)))
    return spans


def check_free(path: Path) -> None:
    """Raise UsageError unless ``path`` is absent, an empty folder, or features of one video."""
    if path.is_file():
        raise UsageError(f"{path} is a file: --out PATH.zarr is a folder, choose another")
    if not path.is_dir() or not any(path.iterdir()) or holds_features(path):
        return
    if holds_collection(path):
        raise UsageError(f"{path} holds the features of several videos: choose another --out")
    raise UsageError(f"{path} holds something else: choose another --out")


def remove(path: Path) -> None:
    """Delete features of one video or of several, and nothing else.

    Raises:
        UsageError: the folder holds something else.
    """
    if not path.is_dir():
        return
    if holds_collection(path):
        for item in path.iterdir():
            if item.is_dir():
                check_free(item)
    else:
        check_free(path)
    shutil.rmtree(path)


def holds_features(path: Path) -> bool:
    """Whether the folder is a store of one video written by this room."""
    return _attributes(path).get("format") == FORMAT


def holds_collection(path: Path) -> bool:
    """Whether the folder is a group of such stores."""
    return _attributes(path).get("format") == COLLECTION


def start_collection(path: Path) -> None:
    """Make the group that holds the stores of several videos, or go on in it.

    Raises:
        UsageError: the folder holds something else.
    """
    zarr = import_zarr()
    if holds_collection(path):
        return
    if holds_features(path):
        raise UsageError(f"{path} holds the features of one video: choose another --out")
    check_free(path)
    try:
        zarr.create_group(path, attributes={"format": COLLECTION})
    except OSError as error:
        raise VosError(f"cannot write {path}: {error.strerror or error}") from error


def _attributes(path: Path) -> dict[str, Any]:
    """Attributes of a zarr v3 group; empty where there is none."""
    if not (path / "zarr.json").is_file():
        return {}
    return dict(read_json(path / "zarr.json").get("attributes", {}))


def _create_or_open(zarr: ModuleType, path: Path, stream: FeatureStream) -> Any:
    if (path / ARRAY / "zarr.json").is_file():
        group = zarr.open_group(path, mode="r+")
        _check_same(path, dict(group.attrs), group[ARRAY].shape, stream)
        # Left by a process that died while it wrote.
        for stale in path.rglob("*.partial"):
            stale.unlink(missing_ok=True)
        return group[ARRAY]
    description = stream.description()
    group = zarr.open_group(path, mode="a", attributes=description)
    for name, values in (("frame_indices", stream.frame_indices), ("times", stream.times)):
        array = group.create_array(
            name, data=values, dimension_names=("time",), compressors=None, overwrite=True
        )
        array.attrs["units"] = {"frame_indices": "frames of the source", "times": "s"}[name]
    # Last, because a group that has it is complete but for its shards.
    frame = stream.shape[1:]
    return group.create_array(
        ARRAY,
        shape=stream.shape,
        dtype=stream.dtype,
        chunks=(1, *frame),
        shards=(frames_a_shard(stream), *frame),
        compressors=zarr.codecs.ZstdCodec(level=1),
        fill_value=np.nan,  # a frame that is not there yet must not look like one
        dimension_names=("time", "channel", "y", "x"),
        attributes=description,
        config={"write_empty_chunks": True},
    )


def _check_same(
    path: Path, found: dict[str, Any], shape: tuple[int, ...], stream: FeatureStream
) -> None:
    wanted = stream.description()
    changed = [key for key in wanted if found.get(key) != wanted[key]]
    if not changed and tuple(shape) == stream.shape:
        return
    what = (
        f"{changed[0]} {found.get(changed[0])} and not {wanted[changed[0]]}"
        if changed
        else f"the shape {tuple(shape)} and not {stream.shape}"
    )
    raise UsageError(f"{path} holds features of {what}: choose another --out, or add --overwrite")
