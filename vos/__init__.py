"""Video object segmentation by label propagation.

The names below are loaded on first use, so that ``import vos`` (and with it ``vos --help``)
loads neither torch nor any other heavy library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vos.errors import InvalidResultsError, MissingError, UsageError, VosError
from vos.lazy import lazy_names
from vos.version import __version__

_HOMES = {
    "Backbone": "vos.backbones",
    "PropagationConfig": "vos.propagation",
    "Propagator": "vos.propagation",
    "Session": "vos.segmentation",
    "as_backbone": "vos.backbones",
    "evaluate": "vos.evaluation.evaluate",
    "export_features": "vos.export",
    "load": "vos.backbones",
    "open_dataset": "vos.datasets",
    "open_features": "vos.export",
    "open_video": "vos.media",
    "preset": "vos.propagation",
    "propagate": "vos.segmentation",
    "score": "vos.evaluation.score",
    "segment_frame": "vos.segmentation.interactive",
    "train": "vos.training",
}

__all__ = [
    "Backbone",
    "InvalidResultsError",
    "MissingError",
    "PropagationConfig",
    "Propagator",
    "Session",
    "UsageError",
    "VosError",
    "__version__",
    "as_backbone",
    "evaluate",
    "export_features",
    "load",
    "open_dataset",
    "open_features",
    "open_video",
    "preset",
    "propagate",
    "score",
    "segment_frame",
    "train",
]

if TYPE_CHECKING:
    from vos.backbones import Backbone, as_backbone
    from vos.backbones.load import load
    from vos.datasets import open_dataset
    from vos.evaluation.evaluate import evaluate
    from vos.evaluation.score import score
    from vos.export import export_features, open_features
    from vos.media import open_video
    from vos.propagation import PropagationConfig, Propagator, preset
    from vos.segmentation.interactive import segment_frame
    from vos.segmentation.propagate import propagate
    from vos.segmentation.session import Session
    from vos.training import train
else:
    __getattr__ = lazy_names("vos", _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
