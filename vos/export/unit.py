"""The unit of every export: the features of one video into its store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vos.export.single_file import SUFFIXES, SingleFile
from vos.export.stream import FeatureStream
from vos.export.zarr_store import ZarrStore
from vos.progress import progress
from vos.runs.folder import RunFolder


def export_stream(store: ZarrStore | SingleFile) -> dict[str, Any]:
    """Compute and write what the store lacks; doing it twice does it once.

    Returns:
        source, path, shape, frames, computed (frames of this call), bytes.
    """
    stream = store.stream
    bar = progress(store.write(), total=stream.shape[0], description=stream.video.name)
    computed = sum(1 for _ in bar)
    return {
        "source": str(stream.video.path),
        "path": str(store.path),
        "shape": list(stream.shape),
        "frames": stream.shape[0],
        "computed": computed,
        "bytes": int(np.prod(stream.shape)) * stream.dtype.itemsize,
    }


def open_store(path: Path, stream: FeatureStream, folder: RunFolder) -> ZarrStore | SingleFile:
    """Open or make the store that a path names by its suffix.

    Args:
        folder: the record of what is written.
    """
    kind = SingleFile if path.suffix in SUFFIXES else ZarrStore
    return kind(path, stream, folder)
