"""Features for other work: as arrays that other tools open, as pictures, as portable networks.

`export_features` and `vos export` write features, `open_features` reads them (and loads no torch
for it). The job is in ``job``, the stores in ``zarr_store`` and ``single_file``; ``geometry`` says
where tokens lie on the frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vos.export.reader import Features, open_features
from vos.lazy import lazy_names

if TYPE_CHECKING:
    from vos.export.job import export_features
else:
    __getattr__ = lazy_names("vos.export", {"export_features": "vos.export.job"})

__all__ = ["Features", "export_features", "open_features"]
