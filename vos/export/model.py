"""The backbone of an export: the chosen model, and what a reader of its features wants to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from vos.backbones import Backbone
from vos.backbones.inference import FeatureExtractor
from vos.backbones.layers import Normalise
from vos.backbones.token_centre import token_centre
from vos.errors import UsageError
from vos.runs.model import Model


@dataclass(frozen=True)
class ExportModel:
    """A backbone ready to run.

    Attributes:
        model: what it was made from, the chosen layer included.
        normalisation: mean and standard deviation per channel that the backbone takes off RGB in
            [0, 1]; None where it has a way of its own.
        centre: see `Geometry.centre`.
    """

    model: Model
    extractor: FeatureExtractor
    normalisation: dict[str, list[float]] | None
    centre: float

    @classmethod
    def open(cls, model: Model, device: str | torch.device, frame_count: int | None) -> ExportModel:
        """Load a model for ``frame_count`` frames."""
        backbone = model.load()
        return cls(
            model,
            model.extractor(device, frame_count),
            _normalisation(backbone),
            token_centre(backbone),
        )


def choose_model(spec: str, *, layer: int | None, seed: int) -> Model:
    """Load the model of a name, cut at a layer.

    Raises:
        UsageError: an unknown model, or a layer it does not have.
        MissingError: weights that cannot be had.
    """
    model = Model.choose(spec, seed=seed)
    if layer is None:
        return model
    return Model.choose(_with_layer(spec, model.load(), layer), seed=seed)


def load_model(
    spec: str,
    *,
    layer: int | None,
    seed: int,
    device: torch.device,
    frame_count: int,
) -> ExportModel:
    """Load a backbone for ``frame_count`` frames; see `choose_model`."""
    return ExportModel.open(choose_model(spec, layer=layer, seed=seed), device, frame_count)


def _with_layer(spec: str, backbone: Backbone, layer: int) -> str:
    options: dict[str, Any] = backbone.recipe.options if backbone.recipe else {}
    if "layer" not in options:
        raise UsageError(f"{spec} has no layers to choose from: leave `layer` out")
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
