"""Small exports as one file: npz or safetensors, made in memory and written whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vos.errors import UsageError, VosError
from vos.export.format import FORMAT
from vos.files import atomic_path

if TYPE_CHECKING:
    from vos.export.stream import FeatureStream
    from vos.runs.folder import RunFolder

SUFFIXES = (".npz", ".safetensors")
LARGEST = 4 * 2**30


class SingleFile:
    """The file of one video: arrays ``features``, ``frame_indices``, ``times``; a description.

    The description is JSON: in npz the array ``attributes`` (text), in safetensors the metadata.

    Args:
        folder: the record of what is written.

    Raises:
        UsageError: the features do not fit into 4 GiB, or the file is not of this run.
    """

    def __init__(self, path: Path, stream: FeatureStream, folder: RunFolder) -> None:
        self.path = path
        self.stream = stream
        self.folder = folder
        total = stream.bytes_per_frame * stream.shape[0]
        if total > LARGEST:
            raise UsageError(
                f"{total / 2**30:.1f} GiB of features do not go into {path.name}: "
                "`out=PATH.zarr` takes any number of frames"
            )
        folder.check([path])
        self.finished = path.is_file()

    def write(self) -> Iterator[int]:
        """Compute everything and write the file; yields each frame's number."""
        if self.finished:
            return
        features = np.empty(self.stream.shape, self.stream.dtype)
        for number, feature in enumerate(self.stream.read(0, self.stream.shape[0])):
            features[number] = feature
            yield number
        arrays = {
            "features": features,
            "frame_indices": self.stream.frame_indices,
            "times": self.stream.times,
        }
        self.folder.write(_write, self.path, arrays, self.stream.description())


def read_description(path: Path) -> dict[str, Any]:
    """Return the description in a file of either kind.

    Raises:
        VosError: the file is damaged or holds no features.
    """
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                text = str(archive["attributes"])
        else:
            from safetensors import safe_open

            with safe_open(path, "np") as file:
                text = (file.metadata() or {})["attributes"]
        description = json.loads(text)
        if description["format"] == FORMAT:
            return description
    except Exception as error:  # numpy, zipfile and safetensors each have their own
        raise VosError(f"{path} is damaged, or was not written by vos export ({error})") from error
    raise VosError(f"{path} was not written by vos export")


def _write(path: Path, arrays: dict[str, np.ndarray], description: dict[str, Any]) -> None:
    text = json.dumps(description)
    with atomic_path(path) as temporary:
        if path.suffix == ".npz":
            np.savez(temporary, allow_pickle=False, attributes=np.array(text), **arrays)
            return
        from safetensors.numpy import save_file

        save_file(arrays, temporary, metadata={"attributes": text})
