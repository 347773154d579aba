"""Encoders of one view: networks that take any number of channels and give every layer's map.

``AlexNetHalf`` and ``ResNetHalf`` are those of contrastive multiview coding; ``AnyEncoder`` wraps
a backbone that wants RGB.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from vos.backbones.base import Backbone
from vos.backbones.layers.residual import residual_stage
from vos.errors import UsageError

ALEXNET_CHANNELS = (48, 128, 192, 192, 128)
RESNET_STEM = 64  # channels of the first convolution, at every width
RESNET_CHANNELS = (64, 128, 256, 512)


class ViewEncoder(nn.Module):
    """Maps of a view, layer by layer.

    Attributes:
        strides: pixels per token after layer 1, 2, ...
        widths: channels after layer 1, 2, ...
    """

    strides: tuple[int, ...]
    widths: tuple[int, ...]

    def forward(self, view: torch.Tensor, layer: int, done: int = 0) -> torch.Tensor:
        """Map of a layer, (B, c, H, W) -> (B, widths[layer - 1], h, w) with h = ceil(H / stride).

        With ``done`` layers, ``view`` is the map of that layer already.
        """
        raise NotImplementedError


class _Staged(ViewEncoder):
    stages: nn.ModuleList

    def forward(self, view: torch.Tensor, layer: int, done: int = 0) -> torch.Tensor:
        for stage in list(self.stages)[done:layer]:
            view = stage(view)
        return view


class AlexNetHalf(_Staged):
    """Five convolutions, 48-128-192-192-128 times ``width``, with batch norm.

    Paddings are those that make grids of ``ceil(side / stride)`` tokens; a max pooling comes
    before layers 2 and 3. Poolings that would exceed ``stride`` lose theirs.

    Args:
        channels: of the view.
        stride: of the last layer.
        width: of all layers, 1 being half an AlexNet.
        stem: side of the first kernel, odd: 11 as published, 3 or 5 for small images.
        stem_stride: of the first convolution: 4 as published.
    """

    def __init__(
        self, channels: int, *, stride: int, width: float, stem: int, stem_stride: int
    ) -> None:
        super().__init__()
        _check_stem("an AlexNet half", stride, stem, stem_stride, poolings=2)
        widths = [round(count * width) for count in ALEXNET_CHANNELS]
        kernels = (stem, 5, 3, 3, 3)
        stages: list[nn.Module] = []
        strides: list[int] = []
        inside = channels
        for index, (kernel, outside) in enumerate(zip(kernels, widths, strict=True)):
            layers: list[nn.Module] = []
            step = stem_stride if index == 0 else 1
            if index in (1, 2):
                step = 2 if strides[-1] < stride else 1
                layers.append(nn.MaxPool2d(3, step, 1))
            convolution = nn.Conv2d(
                inside, outside, kernel, step if index == 0 else 1, kernel // 2, bias=False
            )
            layers += [convolution, nn.BatchNorm2d(outside), nn.ReLU(inplace=True)]
            stages.append(nn.Sequential(*layers))
            strides.append(step * (strides[-1] if strides else 1))
            inside = outside
        self.stages = nn.ModuleList(stages)
        self.widths, self.strides = tuple(widths), tuple(strides)


class ResNetHalf(_Staged):
    """A ResNet of basic blocks (18) or bottlenecks (50), ``width`` times as wide.

    Stages that would exceed ``stride`` lose theirs.

    Args:
        channels: of the view.
        depth: 18 or 50.
        stride: of the last layer.
        width: of the stages, 1 being a whole ResNet; .5, 1 and 2 a view are the published ones.
        stem: side of the first kernel, odd: 7 as published, 3 or 5 for small images.
        stem_stride: of the first convolution, before a pooling of 2: 2 as published.
    """

    def __init__(
        self,
        channels: int,
        *,
        depth: int,
        stride: int,
        width: float,
        stem: int,
        stem_stride: int,
    ) -> None:
        super().__init__()
        _check_stem("a ResNet", stride, stem, 2 * stem_stride, poolings=3)
        block: type[BasicBlock | Bottleneck] = BasicBlock if depth == 18 else Bottleneck
        blocks = (2, 2, 2, 2) if depth == 18 else (3, 4, 6, 3)
        planes = [round(count * width) for count in RESNET_CHANNELS]
        beginning = nn.Sequential(
            nn.Conv2d(channels, RESNET_STEM, stem, stem_stride, stem // 2, bias=False),
            nn.BatchNorm2d(RESNET_STEM),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        )
        stages: list[nn.Module] = []
        strides, inside = [2 * stem_stride], RESNET_STEM
        for index, (count, wide) in enumerate(zip(blocks, planes, strict=True)):
            step = 2 if index and strides[-1] < stride else 1
            stages.append(residual_stage(block, inside, wide, count, step))
            strides.append(strides[-1] * step)
            inside = wide * block.expansion
        stages[0] = nn.Sequential(beginning, stages[0])
        self.stages = nn.ModuleList(stages)
        self.widths = tuple(wide * block.expansion for wide in planes)
        self.strides = tuple(strides[1:])


class AnyEncoder(ViewEncoder):
    """A backbone as the encoder of a view; its only layer is its feature map.

    Backbones take RGB in [0, 1] and normalise it: the channels of the view are repeated until
    there are three, and mapped from [-1, 1] to [0, 1].
    """

    def __init__(self, channels: int, backbone: Backbone) -> None:
        super().__init__()
        if channels > 3:
            raise UsageError(f"a backbone for RGB cannot encode a view of {channels} channels")
        self.backbone = backbone
        self.order = [index % channels for index in range(3)]
        self.strides, self.widths = (backbone.stride,), (backbone.channels,)

    def forward(self, view: torch.Tensor, layer: int, done: int = 0) -> torch.Tensor:
        return view if done else self.backbone((view[:, self.order] + 1) / 2)


def _check_stem(what: str, stride: int, stem: int, begins: int, *, poolings: int) -> None:
    if stem < 1 or stem % 2 == 0:
        raise UsageError(f"the first kernel of {what} must be odd: stem={stem}")
    known = [begins * 2**power for power in range(poolings + 1)] if begins > 0 else []
    if stride not in known:
        allowed = ", ".join(map(str, known)) or "nothing"
        raise UsageError(f"{what} with this stem_stride has stride {allowed}, not {stride}")


def common_stride(encoders: Sequence[ViewEncoder], layer: int) -> int:
    """Return the stride that all encoders have after ``layer``.

    Raises:
        UsageError: there is no such layer.
    """
    layers = len(encoders[0].strides)
    if not 1 <= layer <= layers:
        raise UsageError(f"this encoder has layers 1 to {layers}, got {layer}")
    return encoders[0].strides[layer - 1]
