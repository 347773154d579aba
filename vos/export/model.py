"""The backbone of an export: what it is, exactly, and the extractor that runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from vos.backbones import Backbone, load, weights_digest
from vos.backbones.inference import FeatureExtractor
from vos.backbones.layers import Normalise
from vos.backbones.token_centre import token_centre
from vos.errors import UsageError


@dataclass(frozen=True)
class ExportModel:
    """A backbone ready to run, and what a reader of its features wants to know of it.

    Attributes:
        spec: what `vos.load` makes it from, the chosen layer included.
        digest: SHA-256 of the weights.
        normalisation: mean and standard deviation a channel that the backbone takes off RGB in
            [0, 1]; None where it has a way of its own.
        centre: see `Geometry.centre`.
    """

    extractor: FeatureExtractor
    spec: str
    digest: str
    normalisation: dict[str, list[float]] | None
    centre: float


def load_model(
    spec: str,
    *,
    layer: int | None,
    seed: int,
    device: torch.device,
    frame_count: int,
) -> ExportModel:
    """Load a backbone for ``frame_count`` frames.

    Raises:
        UsageError: an unknown model, or a layer it does not have.
        MissingError: weights that cannot be had.
    """
    backbone = load(spec, seed=seed)
    if layer is not None:
        spec = _with_layer(spec, backbone, layer)
        backbone = load(spec, seed=seed)
    return ExportModel(
        extractor=FeatureExtractor(backbone, device, frame_count=frame_count),
        spec=spec,
        digest=weights_digest(backbone),
        normalisation=_normalisation(backbone),
        centre=token_centre(backbone),
    )


def _with_layer(spec: str, backbone: Backbone, layer: int) -> str:
    options: dict[str, Any] = backbone.recipe.options if backbone.recipe else {}
    if "layer" not in options:
        raise UsageError(f"{spec} has no layers to choose from: leave --layer out")
    wanted: dict[str, Any] = {"layer": layer}
    if "head" in options:  # a projection belongs to the layer it was trained on
        wanted |= {"head": 0, "output": "layer"}
    return ",".join([spec, *(f"{key}={value}" for key, value in wanted.items())])


def _normalisation(backbone: Backbone) -> dict[str, list[float]] | None:
    found = next((item for item in backbone.modules() if isinstance(item, Normalise)), None)
    if found is None:
        return None
    # As single precision prints: 0.485 and not 0.48500001430511475.
    return {
        "mean": [round(value, 6) for value in found.mean.flatten().tolist()],
        "std": [round(value, 6) for value in found.std.flatten().tolist()],
    }
