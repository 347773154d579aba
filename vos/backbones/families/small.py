"""Small networks for small images, one for each kind of convolution, otherwise alike.

Five 3 x 3 convolutions, each with batch norm and ReLU, on two halvings of the resolution: what
digits and thumbnails are told apart with when kinds of convolution are compared.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vos.backbones.base import Backbone
from vos.backbones.families.dss import network_equivariance
from vos.backbones.layers import Normalise
from vos.backbones.layers.antialiased import BlurPool
from vos.backbones.layers.deformable import DeformableScaleConv
from vos.backbones.layers.fields import Fields
from vos.backbones.layers.groups import Group
from vos.backbones.layers.rotation_blocks import FeatureHead, field_conv, regular_fields
from vos.backbones.layers.rotation_blocks import network_equivariance as rotation_equivariance
from vos.backbones.layers.scale_conv import EachScale, ScaleConv, ScaleNorm
from vos.backbones.layers.scale_space import ScalePool, ScaleSpace, make_lift
from vos.backbones.registry import family
from vos.errors import UsageError

# Width (in units of the first layer's) and stride of each convolution.
LAYERS = ((1, 1), (2, 2), (2, 1), (4, 2), (4, 1))
STRIDE = 4


class SmallScaleNet(Backbone):
    """Small network equivariant to zooming out by powers of ``space.base``, approximately.

    With one scale it is an ordinary small network.

    Args:
        space: the scales.
        width: channels of the first convolution; the last has four times as many.
        deformed: how many of the last convolutions are deformable.
        offsets: of these, ``own`` or ``shared`` over the scales.
        zero_scale: of the Gaussian lifting.
    """

    def __init__(
        self,
        space: ScaleSpace,
        *,
        width: int,
        deformed: int = 0,
        offsets: str = "own",
        zero_scale: float = 0.5,
    ) -> None:
        super().__init__()
        _check_width(width)
        if not 0 <= deformed <= len(LAYERS):
            raise UsageError(f"deformed must be between 0 and {len(LAYERS)}, got {deformed}")
        self.channels = LAYERS[-1][0] * width
        # A pyramid is pooled to its smallest map in the end.
        shrinkage = space.base ** (space.scales - 1) if space.lifting == "bilinear" else 1.0
        self.stride = STRIDE * math.ceil(shrinkage - 1e-6)
        self.normalise = Normalise()
        self.lift = make_lift(space, zero_scale)
        layers: list[nn.Module] = []
        before = 3
        for index, (factor, stride) in enumerate(LAYERS):
            after = factor * width
            if index >= len(LAYERS) - deformed:
                conv: ScaleConv = DeformableScaleConv(
                    before, after, space, stride=stride, offsets=offsets
                )
            else:
                conv = ScaleConv(before, after, space, stride=stride)
            layers += [conv, ScaleNorm(after), EachScale(nn.ReLU())]
            before = after
        self.layers = nn.Sequential(*layers)
        self.pool = ScalePool(space)
        self.equivariance = network_equivariance(space, STRIDE, deformed > 0)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.layers(self.lift(self.normalise(images)))
        return self.pool(maps, self.grid(images.shape[-2], images.shape[-1]))


class SmallRotationNet(Backbone):
    """Small network of group convolutions, G-equivariant, where G is ``group``.

    Args:
        group: of the turns and mirror images.
        width: channels of the first convolution, a multiple of the order of the group.
        sigma: of the Gaussian before each halving.
    """

    def __init__(self, group: Group, *, width: int, sigma: float = 0.66) -> None:
        super().__init__()
        _check_width(width)
        self.stride = STRIDE
        self.normalise = Normalise()
        before = Fields(group, 3)
        layers: list[nn.Module] = []
        for factor, stride in LAYERS:
            after = regular_fields(group, factor * width)
            if stride == 2:
                layers.append(BlurPool(sigma))
            layers.append(field_conv(before, after, 5 if before.count == 3 else 3, "zeros"))
            before = after
        self.layers = nn.Sequential(*layers)
        self.head = FeatureHead(before, LAYERS[-1][0] * width, "invariant")
        self.fields = self.head.fields
        self.channels = self.fields.channels
        self.equivariance = rotation_equivariance(self.fields, STRIDE, "zeros")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(self.normalise(images)))


def _check_width(width: int) -> None:
    if width < 1:
        raise UsageError(f"width must be at least 1, got {width}")


@family("small", "five convolutions for small images, random weights")
def small(width: int = 16) -> SmallScaleNet:
    return SmallScaleNet(ScaleSpace(scales=1), width=width)


@family("deformable-small", "five convolutions for small images, the last three deformable")
def deformable_small(width: int = 16, deformed: int = 3) -> SmallScaleNet:
    return SmallScaleNet(ScaleSpace(scales=1), width=width, deformed=deformed)


@family("dss-small", "five scale convolutions for small images, Gaussian lifting")
def dss_small(
    base: float = 1.6,
    scales: int = 3,
    interaction: int = 1,
    width: int = 16,
    zero_scale: float = 0.5,
) -> SmallScaleNet:
    space = ScaleSpace(base, scales, interaction)
    return SmallScaleNet(space, width=width, zero_scale=zero_scale)


@family("dss-v2-small", "five scale convolutions for small images, a pyramid of scales")
def dss_v2_small(
    base: float = 2**0.5, scales: int = 3, interaction: int = 1, width: int = 16
) -> SmallScaleNet:
    return SmallScaleNet(ScaleSpace(base, scales, interaction, "bilinear"), width=width)


@family("deformable-dss-small", "dss-small, its last three convolutions deformable")
def deformable_dss_small(
    base: float = 1.6,
    scales: int = 3,
    interaction: int = 1,
    width: int = 16,
    zero_scale: float = 0.5,
    deformed: int = 3,
    offsets: str = "own",
) -> SmallScaleNet:
    return SmallScaleNet(
        ScaleSpace(base, scales, interaction),
        width=width,
        deformed=deformed,
        offsets=offsets,
        zero_scale=zero_scale,
    )


@family("rotation-small-c8", "five group convolutions for small images, turns by 45 degrees")
def rotation_small_c8(width: int = 16, sigma: float = 0.66) -> SmallRotationNet:
    return SmallRotationNet(Group.named("c8"), width=width, sigma=sigma)
