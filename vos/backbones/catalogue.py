"""What models there are: one row a shipped checkpoint or family, for `vos models`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vos.backbones.base import Backbone
from vos.backbones.checkpoint import WEIGHTS_NAME, read_config, shipped_checkpoints
from vos.backbones.cost import multiply_adds
from vos.backbones.registry import build, families

_COUNTED: dict[str, float] = {}


@dataclass(frozen=True)
class ModelRow:
    """One model that :func:`vos.load` knows by name.

    Attributes:
        name: the spec.
        kind: ``checkpoint`` (trained), ``family`` (random weights) or ``publisher`` (a prefix
            that opens a library of models; its figures depend on the model).
        stride: pixels a token.
        channels: of the features.
        parameters: number of weights.
        megabytes: of the weights, on disk for checkpoints, in float32 otherwise (10**6 bytes).
        gmac: multiply-adds of a frame of 854 x 480, in 10**9.
        equivariance: the group, and whether exactly or approximately.
        description: one line.
    """

    name: str
    kind: str
    description: str
    stride: int | None = None
    channels: int | None = None
    parameters: int | None = None
    megabytes: float | None = None
    gmac: float | None = None
    equivariance: str | None = None


def list_models() -> list[ModelRow]:
    """Shipped checkpoints first, then families, then libraries of models."""
    rows = [_checkpoint_row(name, folder) for name, folder in shipped_checkpoints().items()]
    for name, member in families().items():
        if not member.prefix:
            backbone = _on_meta(name)
            size = 4 * _count(backbone) / 1e6
            rows.append(_row(name, "family", member.description, backbone, size))
    rows += [
        ModelRow(f"{name}:MODEL", "publisher", member.description)
        for name, member in families().items()
        if member.prefix
    ]
    return rows


def _checkpoint_row(name: str, folder: Path) -> ModelRow:
    config = read_config(folder)
    backbone = _on_meta(config["family"], **config["options"])
    weights = folder / WEIGHTS_NAME
    size = weights.stat().st_size / 1e6 if weights.is_file() else 0.0
    return _row(name, "checkpoint", f"trained {config['family']}", backbone, size)


def _row(name: str, kind: str, description: str, backbone: Backbone, megabytes: float) -> ModelRow:
    return ModelRow(
        name=name,
        kind=kind,
        description=description,
        stride=backbone.stride,
        channels=backbone.channels,
        parameters=_count(backbone),
        megabytes=round(megabytes, 1),
        gmac=_gmac(backbone),
        equivariance=str(backbone.equivariance),
    )


def _gmac(backbone: Backbone) -> float:
    """10**9 multiply-adds of a frame, counted once for each recipe."""
    recipe = repr(backbone.recipe)
    if recipe not in _COUNTED:
        _COUNTED[recipe] = round(multiply_adds(backbone) / 1e9, 1)
    return _COUNTED[recipe]


def _on_meta(name: str, **options: Any) -> Backbone:
    """Built without memory, since only its shape is asked for."""
    with torch.device("meta"):
        return build(name, **options)


def _count(backbone: Backbone) -> int:
    return sum(item.numel() for item in backbone.parameters())
