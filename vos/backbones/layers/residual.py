"""Stages of residual blocks, as ResNets have them."""

from __future__ import annotations

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck


def residual_stage(
    block: type[BasicBlock | Bottleneck], inside: int, planes: int, count: int, step: int
) -> nn.Sequential:
    """Return blocks, the first with the stride and, where the shape changes, a 1x1 bypass.

    Args:
        inside: channels that come in.
        planes: channels of the 3x3 convolutions; ``block.expansion`` times as many go out.
        count: of blocks.
        step: the stride.
    """
    outside = planes * block.expansion
    bypass = None
    if step != 1 or inside != outside:
        bypass = nn.Sequential(
            nn.Conv2d(inside, outside, 1, step, bias=False), nn.BatchNorm2d(outside)
        )
    rest = [block(outside, planes) for _ in range(count - 1)]
    return nn.Sequential(block(inside, planes, step, bypass), *rest)
