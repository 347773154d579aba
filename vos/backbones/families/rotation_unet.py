"""UNets of group convolutions: features that follow when the picture is turned.

Convolutions as in "Group Equivariant Convolutional Networks" (Cohen and Welling, ICML 2016) and
"General E(2)-Equivariant Steerable CNNs" (Weiler and Cesa, NeurIPS 2019), with down- and
up-sampling that keeps the symmetry at odd and even sizes (``layers/antialiased.py``).
"""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from vos.backbones.base import Backbone
from vos.backbones.layers import Normalise
from vos.backbones.layers.antialiased import BlurPool, Upsample
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

WIDEST = 8  # times the width at full resolution


class RotationUNet(Backbone):
    """G-equivariant UNet, where G is ``group``; exact where G takes pixels to pixels (C4, D4).

    Residual blocks of group convolutions on regular fields at ``levels`` halvings of the
    resolution and on the way up as far as ``stride`` asks for; the output is invariant (a turn
    carries features along and leaves them as they are), regular or vector.

    Args:
        group: of the turns and mirror images.
        width: channels at full resolution, a multiple of the order of the group; doubled at each
            level up to eight times.
        features: fields of the output, any number.
        stride: pixels per token, a power of two up to ``2 ** levels``.
        levels: halvings of the resolution.
        output: ``invariant``, ``regular`` or ``vector``.
        sigma: of the Gaussian before each halving, in pixels.
        border: ``zeros``, ``replicate`` or ``circular``; with ``circular``, and sides that are
            multiples of ``2 ** levels``, cyclic shifts by these multiples are exact as well.

    Raises:
        UsageError: a choice that makes no sense.
    """

    def __init__(
        self,
        group: Group,
        *,
        width: int = 16,
        features: int = 64,
        stride: int = 4,
        levels: int = 4,
        output: str = "invariant",
        sigma: float = 0.66,
        border: str = "zeros",
    ) -> None:
        super().__init__()
        if not 1 <= levels <= 8:
            raise UsageError(f"a rotation UNet has 1 to 8 levels, got {levels}")
        if stride not in [2**level for level in range(levels + 1)]:
            raise UsageError(f"this UNet has stride 1, 2, 4, ... or {2**levels}, got {stride}")
        last = stride.bit_length() - 1  # the level whose grid the tokens are
        fields = [
            regular_fields(group, width * min(2**level, WIDEST)) for level in range(levels + 1)
        ]
        blur = "circular" if border == "circular" else "replicate"
        self.normalise = Normalise()
        self.lift = field_conv(Fields(group, 3), fields[0], 5, border)
        self.down = nn.ModuleList(
            nn.Sequential(
                BlurPool(sigma, blur), FieldResidual(fields[level], fields[level + 1], border)
            )
            for level in range(levels)
        )
        self.upsample = Upsample(blur)
        self.up = nn.ModuleList(
            FieldResidual(
                Fields(group, fields[level + 1].count + fields[level].count, "regular"),
                fields[level],
                border,
            )
            for level in range(last, levels)
        )
        self.head = FeatureHead(fields[last], features, output)
        self.fields = self.head.fields
        self.stride = stride
        self.channels = self.fields.channels
        self.equivariance = network_equivariance(self.fields, 2**levels, border)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.lift(self.normalise(images))
        skips = []
        for down in self.down:
            skips.append(features)
            features = down(features)
        kept = skips[len(skips) - len(self.up) :]
        for up, skip in zip(reversed(self.up), reversed(kept), strict=True):
            wide = self.upsample(features, (skip.shape[-2], skip.shape[-1]))
            features = up(torch.cat([wide, skip], dim=1))
        return self.head(features)


def rotation_unet(
    group: str,
    *,
    width: int = 16,
    features: int = 64,
    stride: int = 4,
    levels: int = 4,
    output: str = "invariant",
    sigma: float = 0.66,
    border: str = "zeros",
) -> RotationUNet:
    """Build the UNet of a group by its name."""
    return RotationUNet(
        Group.named(group),
        width=width,
        features=features,
        stride=stride,
        levels=levels,
        output=output,
        sigma=sigma,
        border=border,
    )


for _name, _description in {
    "c1": "UNet with antialiasing and no turns, to compare the others with, random weights",
    "c4": "UNet of group convolutions, quarter turns, random weights",
    "c8": "UNet of group convolutions, turns by 45 degrees, random weights",
    "d4": "UNet of group convolutions, quarter turns and mirror images, random weights",
}.items():
    family(f"rotation-unet-{_name}", _description)(partial(rotation_unet, _name))
