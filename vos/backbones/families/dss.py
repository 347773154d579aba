"""ResNets on a scale space, with and without deformable convolutions.

"Deep Scale-spaces: Equivariance Over Scale" (Worrall and Welling, NeurIPS 2019) in the shape of
"Deep Residual Learning for Image Recognition" (He et al., CVPR 2016).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from vos.backbones.base import Backbone, Equivariance
from vos.backbones.layers import Normalise
from vos.backbones.layers.deformable import DeformableScaleConv
from vos.backbones.layers.scale_conv import EachScale, ScaleConv, ScaleNorm
from vos.backbones.layers.scale_space import ScalePool, ScaleSpace, make_lift
from vos.backbones.registry import family
from vos.errors import UsageError

STRIDES = (4, 8, 16, 32)
BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
EXPANSION = 4  # of a bottleneck block

Conv = Callable[[int, int, int], nn.Module]  # channels in, channels out, stride -> 3 x 3


class ScaleResidual(nn.Module):
    """Residual block on a scale space, equivariant as its scale convolutions are.

    Args:
        before: channels of the input.
        after: channels of the output.
        stride: of the block.
        conv: makes the 3 x 3 convolutions.
        bottleneck: 1 x 1, 3 x 3, 1 x 1 as in ResNet-50 in place of two 3 x 3.
    """

    def __init__(
        self, before: int, after: int, stride: int, conv: Conv, *, bottleneck: bool
    ) -> None:
        super().__init__()
        relu = EachScale(nn.ReLU())
        inner = after // EXPANSION if bottleneck else after
        layers: list[nn.Module]
        if bottleneck:
            layers = [_point(before, inner), ScaleNorm(inner), relu]
            layers += [conv(inner, inner, stride), ScaleNorm(inner), relu]
            layers += [_point(inner, after), ScaleNorm(after)]
        else:
            layers = [conv(before, inner, stride), ScaleNorm(inner), relu]
            layers += [conv(inner, after, 1), ScaleNorm(after)]
        self.body = nn.Sequential(*layers)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(_point(before, after, stride), ScaleNorm(after))

    @property
    def equivariance(self) -> Equivariance:
        """That of its 3 x 3 convolution."""
        first = next(item for item in self.body.modules() if isinstance(item, ScaleConv))
        return first.equivariance

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps (B, C, H_s, W_s) -> maps (B, C', ceil(H_s / stride), ceil(W_s / stride))."""
        pairs = zip(self.body(maps), self.shortcut(maps), strict=True)
        return [torch.relu(change + kept) for change, kept in pairs]


class ScaleSpaceResNet(Backbone):
    """ResNet equivariant to zooming out by powers of ``space.base``, approximately.

    The image is lifted to several scales, residual stages of scale convolutions follow, and the
    average over scales is the feature map. With one scale it is a ResNet.

    Args:
        space: the scales.
        depth: 18 or 50.
        width: channels of the first stage (of its 3 x 3 convolutions); doubled at each stage.
        stride: 4, 8, 16 or 32 pixels per token. Stages that would exceed it keep their resolution.
        layer: the last stage, 1 to 4.
        deformed: how many of the last stages have deformable convolutions.
        offsets: of these, ``own`` or ``shared`` over the scales.
        zero_scale: of the Gaussian lifting.

    Raises:
        UsageError: a choice that makes no sense.
    """

    def __init__(
        self,
        space: ScaleSpace,
        *,
        depth: int = 18,
        width: int = 32,
        stride: int = 8,
        layer: int = 3,
        deformed: int = 0,
        offsets: str = "own",
        zero_scale: float = 0.5,
    ) -> None:
        super().__init__()
        _check(width, stride, layer, deformed)
        bottleneck = depth == 50
        self.stride = stride
        self.normalise = Normalise()
        self.lift = make_lift(space, zero_scale)
        self.stem = nn.Sequential(
            ScaleConv(3, width, space, 7, stride=2),
            ScaleNorm(width),
            EachScale(nn.ReLU()),
            EachScale(nn.MaxPool2d(3, stride=2, padding=1)),
        )
        limit = _inner_stride(space, stride)
        stages, before, reached = [], width, 4
        for stage in range(layer):
            step = 2 if stage and reached < limit else 1
            reached *= step
            after = width * 2**stage * (EXPANSION if bottleneck else 1)
            conv = _conv(space, offsets if stage >= layer - deformed else "")
            blocks = []
            for index in range(BLOCKS[depth][stage]):
                blocks.append(
                    ScaleResidual(before, after, 1 if index else step, conv, bottleneck=bottleneck)
                )
                before = after
            stages.append(nn.Sequential(*blocks))
        if reached != limit:
            raise UsageError(f"layer {layer} has stride {reached} at most inside, not {limit}")
        self.stages = nn.ModuleList(stages)
        self.pool = ScalePool(space)
        self.channels = before
        self.equivariance = network_equivariance(space, reached, deformed > 0)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.stem(self.lift(self.normalise(images)))
        for stage in self.stages:
            maps = stage(maps)
        return self.pool(maps, self.grid(images.shape[-2], images.shape[-1]))


def network_equivariance(space: ScaleSpace, period: int, deformed: bool) -> Equivariance:
    """Return the equivariance of a network on ``space`` with ``period`` pixels per finest cell."""
    away = "a receptive field inside the frame: zero padding shows at the border"
    if space.scales == 1:
        group = f"translation by multiples of {period} pixels"
        return Equivariance(group, True, "the token grid shifts", away)
    reach = space.base ** (space.scales - 1)
    conditions = f"zooms well below {reach:g}, the range of its scales; sampling; {away}"
    if deformed:
        conditions += "; what the offset branches predict"
    return space.equivariance(
        exact=False, output="the token grid shrinks with the image", depends_on=conditions
    )


def _check(width: int, stride: int, layer: int, deformed: int) -> None:
    if width < 1:
        raise UsageError(f"width must be at least 1, got {width}")
    if stride not in STRIDES:
        raise UsageError(f"a ResNet has stride 4, 8, 16 or 32, got {stride}")
    if layer not in (1, 2, 3, 4):
        raise UsageError(f"a ResNet has layers 1 to 4, got {layer}")
    if not 0 <= deformed <= layer:
        raise UsageError(f"deformed must be between 0 and the {layer} stages, got {deformed}")


def _inner_stride(space: ScaleSpace, stride: int) -> int:
    """Return the stride of the finest map; a pyramid is pooled to its smallest map in the end."""
    if space.lifting == "gaussian":
        return stride
    shrinkage = space.base ** (space.scales - 1)
    inner = 2 ** math.floor(math.log2(stride / shrinkage) + 1e-6)
    if inner < 4:
        raise UsageError(
            f"the smallest of {space.scales} maps of base {space.base:g} has more than {stride} "
            f"pixels per cell: use fewer scales, a smaller base or a larger stride"
        )
    return inner


def _point(before: int, after: int, stride: int = 1) -> EachScale:
    return EachScale(nn.Conv2d(before, after, 1, stride=stride, bias=False))


def _conv(space: ScaleSpace, offsets: str) -> Conv:
    def make(before: int, after: int, stride: int) -> nn.Module:
        if offsets:
            return DeformableScaleConv(before, after, space, stride=stride, offsets=offsets)
        return ScaleConv(before, after, space, stride=stride)

    return make


def _builder(depth: int) -> Callable[..., ScaleSpaceResNet]:
    def build(
        base: float = 2.0,
        scales: int = 3,
        interaction: int = 1,
        width: int = 32,
        stride: int = 8,
        layer: int = 3,
        zero_scale: float = 0.5,
    ) -> ScaleSpaceResNet:
        space = ScaleSpace(base, scales, interaction)
        return ScaleSpaceResNet(
            space, depth=depth, width=width, stride=stride, layer=layer, zero_scale=zero_scale
        )

    return build


dss_resnet18 = family(
    "dss-resnet18", "ResNet-18 on a scale space, Gaussian lifting, random weights"
)(_builder(18))
dss_resnet50 = family(
    "dss-resnet50", "ResNet-50 on a scale space, Gaussian lifting, random weights"
)(_builder(50))


@family("dss-v2-resnet18", "ResNet-18 on a pyramid of bilinear scales, random weights")
def dss_v2_resnet18(
    base: float = 2**0.5,
    scales: int = 3,
    interaction: int = 1,
    width: int = 32,
    stride: int = 8,
    layer: int = 3,
) -> ScaleSpaceResNet:
    space = ScaleSpace(base, scales, interaction, "bilinear")
    return ScaleSpaceResNet(space, width=width, stride=stride, layer=layer)


@family("deformable-dss-resnet18", "dss-resnet18, its last stage deformable, random weights")
def deformable_dss_resnet18(
    base: float = 2.0,
    scales: int = 3,
    interaction: int = 1,
    width: int = 32,
    stride: int = 8,
    layer: int = 3,
    zero_scale: float = 0.5,
    deformed: int = 1,
    offsets: str = "own",
) -> ScaleSpaceResNet:
    return ScaleSpaceResNet(
        ScaleSpace(base, scales, interaction),
        width=width,
        stride=stride,
        layer=layer,
        deformed=deformed,
        offsets=offsets,
        zero_scale=zero_scale,
    )


@family("deformable-resnet18", "ResNet-18, its last stage deformable, random weights")
def deformable_resnet18(
    width: int = 64, stride: int = 8, layer: int = 3, deformed: int = 1
) -> ScaleSpaceResNet:
    space = ScaleSpace(scales=1)
    return ScaleSpaceResNet(space, width=width, stride=stride, layer=layer, deformed=deformed)
