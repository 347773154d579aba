"""Backbones with statistics unlike those of a fresh network, so that batch norms matter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import vos
from vos.backbones import Backbone


@pytest.fixture
def lived_in() -> Callable[[str], Backbone]:
    """Loads a spec and gives its batch norms statistics as after training."""

    def make(spec: str) -> Backbone:
        backbone = vos.load(spec)
        generator = torch.Generator().manual_seed(1)
        for module in backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.weight.data.uniform_(0.5, 1.5, generator=generator)
                module.bias.data.normal_(0, 0.1, generator=generator)
        return backbone

    return make
