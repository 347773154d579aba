"""ResNet-18 of group convolutions: features that follow when the picture is turned."""

from __future__ import annotations

import torch
from torch import nn

from vos.backbones.base import Backbone
from vos.backbones.layers import Normalise
from vos.backbones.layers.antialiased import BlurPool, MaxBlurPool
from vos.backbones.layers.fields import Fields
from vos.backbones.layers.groups import Group
from vos.backbones.layers.rotation_blocks import (
    FeatureHead,
    FieldResidual,
    field_conv,
    network_equivariance,
    regular_fields,
)
from vos.backbones.registry import family
from vos.errors import UsageError

STRIDES = (4, 8, 16, 32)


class RotationResNet(Backbone):
    """G-equivariant ResNet-18, where G is ``group``; exact where G takes pixels to pixels.

    As ``resnet18``, with group convolutions on regular fields, antialiased pooling in place of
    strides, and a 1 x 1 head that makes the output invariant, regular or vector. Stages that would
    exceed ``stride`` keep their resolution.

    Args:
        group: of the turns and mirror images.
        width: channels of the first stage, a multiple of the order of the group; doubled at
            each further stage.
        features: fields of the output, any number.
        stride: 4, 8, 16 or 32 pixels per token.
        layer: the last stage, 1 to 4.
        output: ``invariant``, ``regular`` or ``vector``.
        sigma: of the Gaussian before each halving, in pixels.
        border: ``zeros``, ``replicate`` or ``circular``.

    Raises:
        UsageError: a choice that makes no sense.
    """

    def __init__(
        self,
        group: Group,
        *,
        width: int = 64,
        features: int = 128,
        stride: int = 8,
        layer: int = 3,
        output: str = "invariant",
        sigma: float = 0.66,
        border: str = "zeros",
    ) -> None:
        super().__init__()
        if stride not in STRIDES:
            raise UsageError(f"a ResNet has stride 4, 8, 16 or 32, got {stride}")
        if layer not in (1, 2, 3, 4):
            raise UsageError(f"a ResNet has layers 1 to 4, got {layer}")
        if stride > 2 ** (layer + 1):
            raise UsageError(f"layer {layer} has stride {2 ** (layer + 1)} at most, not {stride}")
        fields = [regular_fields(group, width * 2**stage) for stage in range(layer)]
        blur = "circular" if border == "circular" else "replicate"
        self.normalise = Normalise()
        self.stem = nn.Sequential(
            *field_conv(Fields(group, 3), fields[0], 5, border),
            BlurPool(sigma, blur),
            MaxBlurPool(sigma, blur),
        )
        stages, before, reached = [], fields[0], 4
        for stage, after in enumerate(fields):
            blocks: list[nn.Module] = [
                FieldResidual(before, after, border),
                FieldResidual(after, after, border),
            ]
            if stage and reached < stride:
                blocks.insert(0, BlurPool(sigma, blur))
                reached *= 2
            stages.append(nn.Sequential(*blocks))
            before = after
        self.stages = nn.ModuleList(stages)
        self.head = FeatureHead(before, features, output)
        self.fields = self.head.fields
        self.stride = stride
        self.channels = self.fields.channels
        self.equivariance = network_equivariance(self.fields, stride, border)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.stem(self.normalise(images))
        for stage in self.stages:
            features = stage(features)
        return self.head(features)


@family("rotation-resnet18-c8", "ResNet-18 of group convolutions, turns by 45 degrees")
def rotation_resnet18_c8(
    width: int = 64,
    features: int = 128,
    stride: int = 8,
    layer: int = 3,
    output: str = "invariant",
    sigma: float = 0.66,
    border: str = "zeros",
) -> RotationResNet:
    return RotationResNet(
        Group.named("c8"),
        width=width,
        features=features,
        stride=stride,
        layer=layer,
        output=output,
        sigma=sigma,
        border=border,
    )
