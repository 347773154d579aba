"""The unit of every export: the features of one video into its store."""

from __future__ import annotations

from typing import Any

import numpy as np

from vos.export.single_file import SingleFile
from vos.export.zarr_store import ZarrStore
from vos.progress import progress


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
