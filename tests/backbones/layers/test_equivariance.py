"""Every layer says in its first sentence, and as a property, what it is equivariant to."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest
import torch
from torch import nn

import vos
from vos.backbones import Equivariance, layers

ROOMS = sorted(item.name for item in pkgutil.iter_modules(layers.__path__))
BASES = ("ExpandedFilter",)  # no layers by themselves
WORDS = re.compile(r"equivarian|invarian", re.IGNORECASE)


def classes() -> list[type[nn.Module]]:
    found = []
    for room in ROOMS:
        module = importlib.import_module(f"vos.backbones.layers.{room}")
        found += [
            item
            for item in vars(module).values()
            if isinstance(item, type)
            and issubclass(item, nn.Module)
            and item.__module__ == module.__name__
            and item.__name__ not in BASES
        ]
    return found


@pytest.mark.parametrize("layer", classes(), ids=lambda item: item.__name__)
def test_the_first_sentence_and_the_property(layer: type[nn.Module]) -> None:
    first = (layer.__doc__ or "").split("\n\n")[0]
    assert WORDS.search(first), first
    if "G-equivariant" in first:
        assert re.search(r"where G\s+is", first), f"{first} which group?"
    assert isinstance(getattr(layer, "equivariance", None), property)


@pytest.mark.parametrize(
    "spec", ["rotation-unet-d4", "dss-resnet18", "deformable-dss-small", "dss-v2-small"]
)
def test_every_layer_of_a_network_answers(spec: str) -> None:
    backbone = vos.load(spec)
    asked = 0
    for module in backbone.modules():
        if type(module) in classes():
            stated = module.equivariance
            assert isinstance(stated, Equivariance)
            assert all((stated.group, stated.output, stated.depends_on))
            asked += 1
    assert asked > 5
    assert torch.isfinite(backbone(torch.rand(1, 3, 32, 32))).all()
