"""List what models there are: one row per shipped checkpoint or family, for `vos models`.

The measures of a model take a while to count, so those that come with vos are kept in
``catalogue.json``, which ``tools/count_models.py`` writes; others are counted when asked for.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from vos.backbones.base import Backbone
from vos.backbones.checkpoint import WEIGHTS_NAME, read_config, shipped_checkpoints
from vos.backbones.registry import build, families
from vos.files import read_json

SIZE_480P = (480, 854)
TABLE = Path(__file__).with_name("catalogue.json")


@dataclass(frozen=True)
class Measures:
    """What is counted of a network: stride, channels, parameters, cost, and its equivariance."""

    stride: int
    channels: int
    parameters: int
    gmac: float
    equivariance: str


@dataclass(frozen=True)
class ModelRow:
    """One model that :func:`vos.load` knows by name.

    Attributes:
        name: the spec.
        kind: ``checkpoint`` (trained), ``family`` (random weights) or ``publisher`` (a prefix
            that opens a library of models; its figures depend on the model).
        stride: pixels per token.
        channels: of the features.
        parameters: number of weights.
        megabytes: of the weights, on disk for checkpoints, in float32 otherwise (10**6 bytes).
        gmac: multiply-adds per frame of 854 x 480, in 10**9.
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
    """List shipped checkpoints first, then families, then libraries of models."""
    rows = [_checkpoint_row(name, folder) for name, folder in shipped_checkpoints().items()]
    for name, member in families().items():
        if not member.prefix:
            known = _measures(name, {})
            rows.append(_row(name, "family", member.description, known, 4 * known.parameters / 1e6))
    rows += [
        ModelRow(f"{name}:MODEL", "publisher", member.description)
        for name, member in families().items()
        if member.prefix
    ]
    return rows


def measured_specs() -> dict[str, Measures]:
    """Count every model of :func:`list_models` anew, by its spec: the content of the table."""
    recipes: list[tuple[str, dict[str, Any]]] = [
        (name, {}) for name, member in families().items() if not member.prefix
    ]
    for folder in shipped_checkpoints().values():
        config = read_config(folder)
        recipes.append((config["family"], config["options"]))
    return {_spec(name, options): count(name, options) for name, options in recipes}


def count(family: str, options: dict[str, Any]) -> Measures:
    """Build a network without memory, and count its measures."""
    with torch.device("meta"):
        backbone = build(family, **options)
    return Measures(
        stride=backbone.stride,
        channels=backbone.channels,
        parameters=sum(item.numel() for item in backbone.parameters()),
        gmac=round(multiply_adds(backbone) / 1e9, 1),
        equivariance=str(backbone.equivariance),
    )


def multiply_adds(backbone: Backbone, size: tuple[int, int] = SIZE_480P) -> int:
    """Count the multiply-adds of convolutions and matrix products for one frame.

    Shapes are enough: nothing is computed, so a network on the meta device does as well.

    Args:
        backbone: is not changed.
        size: (height, width) of the frame.
    """
    network = copy.deepcopy(backbone).to("meta").eval()
    counter = FlopCounterMode(display=False, custom_mapping=_deformable())
    with torch.no_grad(), counter:
        network(torch.empty(1, 3, *size, device="meta"))
    return counter.get_total_flops() // 2


def _deformable() -> dict[Any, Any]:
    """Return how to count deformable convolutions, which the counter does not know."""
    import torchvision.ops  # noqa: F401 (registers the operator)

    def count(images: Any, weight: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
        batch, _, rows, columns = out_shape
        outputs, inputs, height, width = weight
        return 2 * batch * rows * columns * outputs * inputs * height * width

    return {torch.ops.torchvision.deform_conv2d: count}


def _checkpoint_row(name: str, folder: Path) -> ModelRow:
    config = read_config(folder)
    measures = _measures(config["family"], config["options"])
    weights = folder / WEIGHTS_NAME
    size = weights.stat().st_size / 1e6 if weights.is_file() else 0.0
    return _row(name, "checkpoint", f"trained {config['family']}", measures, size)


def _row(name: str, kind: str, description: str, measures: Measures, megabytes: float) -> ModelRow:
    return ModelRow(
        name=name,
        kind=kind,
        description=description,
        megabytes=round(megabytes, 1),
        **asdict(measures),
    )


def _measures(family: str, options: dict[str, Any]) -> Measures:
    spec = _spec(family, options)
    known = _table()
    return Measures(**known[spec]) if spec in known else count(family, options)


@cache
def _table() -> dict[str, dict[str, Any]]:
    return dict(read_json(TABLE))


def _spec(family: str, options: dict[str, Any]) -> str:
    return ",".join([family, *(f"{key}={value}" for key, value in sorted(options.items()))])
