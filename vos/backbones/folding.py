"""Networks made cheaper for evaluation: the same function, fewer passes.

Layers with filters of their own making become plain convolutions, and batch norms are folded into
the convolution before them.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.resnet import BasicBlock, Bottleneck

Module = TypeVar("Module", bound=nn.Module)


def fold_batch_norm(network: Module) -> Module:
    """A copy of ``network``, in evaluation mode, with its batch norms folded where that is safe.

    Safe are neighbours in a plain ``nn.Sequential`` and the blocks of torchvision's ResNets:
    there the order in which layers run is known. Layers that have a plain form (``as_plain``, such
    as group convolutions) take it first. Other layers are left as they are.
    """
    network = copy.deepcopy(network).eval()
    _make_plain(network)
    for module in list(network.modules()):
        if type(module) is nn.Sequential:
            names = list(module._modules)
            for first, second in pairwise(names):
                _fold(module, first, second)
        elif type(module) in (BasicBlock, Bottleneck):
            for index in ("1", "2", "3"):
                _fold(module, f"conv{index}", f"bn{index}")
    return network


def _make_plain(network: nn.Module) -> None:
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if hasattr(child, "as_plain"):
                setattr(module, name, child.as_plain())  # type: ignore[operator]


def _fold(parent: nn.Module, convolution: str, norm: str) -> None:
    # Exact types: subclasses may add an activation or another order.
    first, second = getattr(parent, convolution, None), getattr(parent, norm, None)
    if type(first) is nn.Conv2d and type(second) is nn.BatchNorm2d:
        setattr(parent, convolution, fuse_conv_bn_eval(first, second))
        setattr(parent, norm, nn.Identity())
