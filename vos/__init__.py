"""Video object segmentation by label propagation.

The names below are loaded on first use, so that ``import vos`` (and with it ``vos --help``)
loads neither torch nor any other heavy library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vos.version import __version__

_HOME = {
    "load": "vos.backbones",
    "Backbone": "vos.backbones",
    "Propagator": "vos.propagation",
    "PropagationConfig": "vos.propagation",
    "preset": "vos.propagation",
    "propagate": "vos.segmentation",
    "Session": "vos.segmentation",
    "open_video": "vos.media",
    "open_dataset": "vos.datasets",
    "open_features": "vos.export",
}

__all__ = [
    "Backbone",
    "PropagationConfig",
    "Propagator",
    "Session",
    "__version__",
    "load",
    "open_dataset",
    "open_features",
    "open_video",
    "preset",
    "propagate",
]

if TYPE_CHECKING:
    from vos.backbones import Backbone, load
    from vos.datasets import open_dataset
    from vos.export import open_features
    from vos.media import open_video
    from vos.propagation import PropagationConfig, Propagator, preset
    from vos.segmentation.propagate import propagate
    from vos.segmentation.session import Session


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'vos' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
