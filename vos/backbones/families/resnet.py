"""ResNets as DAVIS label propagation uses them: dense, cut off after the chosen stage.

"Deep Residual Learning for Image Recognition" (He et al., CVPR 2016); the dense form, in which
later stages lose their stride, is the one of "Space-Time Correspondence as a Contrastive Random
Walk" (Jabri et al., NeurIPS 2020). `compact` is a narrow one, for processors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torchvision
from torch import nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock

from vos.backbones.base import Backbone, Equivariance
from vos.backbones.layers import ColourDescriptor, Normalise
from vos.backbones.layers.residual import residual_stage
from vos.backbones.registry import family
from vos.errors import UsageError

STRIDES = (4, 8, 16, 32)
OUTPUTS = ("layer", "head")
PADDINGS = ("zeros", "reflect")
COMPACT_BLOCKS = (1, 2, 2)  # of the stages of `compact`


class ResNet(Backbone):
    """A stem and residual stages, without the strides beyond ``stride``.

    Convolutions are padded on all sides, so
    that token ``i`` is centred at pixel ``i * stride``, as in all published protocols.

    Args:
        stem: what comes before the first stage, of stride 4.
        stages: 1 to 4 stages of basic or bottleneck blocks; each but the first begins with a
            stride of 2.
        stride: 4, 8, 16 or 32 pixels per token. Stages that would exceed it lose their stride.
        head: channels of a projection head of 1x1 convolutions, 0 for none.
        head_layers: convolutions of the head, with ReLU between them.
        output: ``"layer"`` gives the features of the stage, ``"head"`` their projection.
        colour: weight of a colour descriptor beside the features, both of unit length; 0 for
            none. What is learnt to survive a change of light and pose tells little of colour,
            which tells much from one frame to the next.
        padding: ``zeros``, or ``reflect`` as in the weights that CRW published.

    Raises:
        UsageError: a choice that makes no sense.
    """

    def __init__(
        self,
        stem: nn.Sequential,
        stages: Sequence[nn.Sequential],
        *,
        stride: int = 8,
        head: int = 0,
        head_layers: int = 1,
        output: str = "layer",
        colour: float = 0.0,
        padding: str = "zeros",
    ) -> None:
        super().__init__()
        _check(stride, head, head_layers, output, colour)
        self.normalise = Normalise()
        self.stem = stem
        self.stages = nn.ModuleList(stages)
        _set_padding(self, padding)
        self.stride = _limit_stride(stages, stride)
        if self.stride != stride:
            raise UsageError(f"layer {len(stages)} has stride {self.stride} at most, not {stride}")
        self._layer_channels = _width(stages[-1])
        self._head_channels = head
        self.head = _projection(self._layer_channels, head, head_layers) if head else None
        self.colour = colour
        self.describe_colour = ColourDescriptor(self.stride) if colour else None
        self.set_output(output)
        self.equivariance = Equivariance(
            group=f"translation by multiples of {self.stride} pixels",
            exact=True,
            output="the token grid shifts",
            depends_on="a receptive field inside the frame: zero padding shows at the border",
        )

    def set_output(self, output: str) -> None:
        """Choose between ``"layer"`` and ``"head"``; what is not needed is not computed.

        Raises:
            UsageError: unknown output, or there is no head.
        """
        if output not in OUTPUTS:
            raise UsageError(f"unknown output {output!r}: known: {', '.join(OUTPUTS)}")
        if output == "head" and self.head is None:
            raise UsageError("output=head needs a head: give head=CHANNELS")
        self.output = output
        self.channels = self._head_channels if output == "head" else self._layer_channels
        if self.describe_colour is not None:
            self.channels += self.describe_colour.channels
        if self.recipe is not None:
            self.recipe.options["output"] = output

    def learnt_features(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) float RGB in [0, 1] -> (B, C, h, w), without the descriptor of colour."""
        features = self.stem(self.normalise(images))
        for stage in self.stages:
            features = stage(features)
        if self.output == "head":
            assert self.head is not None
            features = self.head(features)
        return features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.learnt_features(images)
        if self.describe_colour is None:
            return features
        beside = self.colour * self.describe_colour(images)
        return torch.cat([functional.normalize(features, dim=1), beside], dim=1)


def stem_and_stages(
    network: torchvision.models.ResNet, layer: int
) -> tuple[nn.Sequential, list[nn.Sequential]]:
    """Return the parts of a torchvision ResNet up to stage ``layer``, 1 to 4.

    Raises:
        UsageError: it has no such stage.
    """
    if layer not in (1, 2, 3, 4):
        raise UsageError(f"a ResNet has layers 1 to 4, got {layer}")
    stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
    return stem, [network.layer1, network.layer2, network.layer3, network.layer4][:layer]


def _check(stride: int, head: int, head_layers: int, output: str, colour: float) -> None:
    if stride not in STRIDES:
        raise UsageError(f"a ResNet has stride 4, 8, 16 or 32, got {stride}")
    if head < 0 or head_layers < 1:
        raise UsageError("head must be 0 or more channels and head_layers at least 1")
    if output not in OUTPUTS:
        raise UsageError(f"unknown output {output!r}: known: {', '.join(OUTPUTS)}")
    if colour < 0:
        raise UsageError(f"colour must be a weight of 0 or more, got {colour}")


def _set_padding(network: nn.Module, padding: str) -> None:
    if padding not in PADDINGS:
        raise UsageError(f"unknown padding {padding!r}: known: {', '.join(PADDINGS)}")
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.padding_mode = padding  # type: ignore[assignment]


def _limit_stride(stages: Sequence[nn.Sequential], limit: int) -> int:
    """Remove the strides of the stages that would exceed ``limit``; return the stride left."""
    stride = 4  # of the stem
    for stage in stages[1:]:
        if stride < limit:
            stride *= 2
            continue
        for module in stage.modules():
            if isinstance(module, nn.Conv2d):
                module.stride = (1, 1)
    return stride


def _width(stage: nn.Sequential) -> int:
    """Return the output channels of a stage of basic or bottleneck blocks."""
    block = stage[-1]
    last = block.conv3 if hasattr(block, "conv3") else block.conv2
    assert isinstance(last, nn.Conv2d)
    return last.out_channels


def _projection(channels: int, width: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(depth):
        last = index == depth - 1
        layers.append(nn.Conv2d(channels, width if last else channels, 1))
        if not last:
            layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _builder(depth: int) -> Callable[..., ResNet]:
    """Return the builder; layer 3 of depth 18 has 256 channels, of depth 50 1024."""

    def build(
        stride: int = 8,
        layer: int = 3,
        head: int = 0,
        head_layers: int = 1,
        output: str = "layer",
        colour: float = 0.0,
        padding: str = "zeros",
    ) -> ResNet:
        network = getattr(torchvision.models, f"resnet{depth}")()
        return ResNet(
            *stem_and_stages(network, layer),
            stride=stride,
            head=head,
            head_layers=head_layers,
            output=output,
            colour=colour,
            padding=padding,
        )

    return build


resnet18 = family("resnet18", "ResNet-18 up to layer 3, random weights")(_builder(18))
resnet50 = family("resnet50", "ResNet-50 up to layer 3, random weights")(_builder(50))


@family("compact", "a narrow ResNet of 3x3 convolutions for processors, random weights")
def compact(
    width: int = 32,
    stride: int = 8,
    head: int = 0,
    output: str = "layer",
    colour: float = 0.0,
) -> ResNet:
    """Build a ResNet of a quarter of the operations of ``resnet18``.

    Two convolutions take the place of a wide one and a pool, each stage has half the channels, and
    the first, whose maps are the largest, half the blocks.

    Args:
        width: channels of the first stage, doubled by each of the two that follow.
    """
    if width < 2:
        raise UsageError(f"width must be at least 2, got {width}")
    stem = nn.Sequential(*_halving(3, width // 2), *_halving(width // 2, width))
    stages, before = [], width
    for number, blocks in enumerate(COMPACT_BLOCKS):
        after = width * 2**number
        stages.append(residual_stage(BasicBlock, before, after, blocks, 2 if number else 1))
        before = after
    network = ResNet(stem, stages, stride=stride, head=head, output=output, colour=colour)
    _initialise(network)
    return network


def _halving(before: int, after: int) -> list[nn.Module]:
    """Return a 3x3 convolution of stride 2 with its norm and ReLU."""
    conv = nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True)]


def _initialise(network: nn.Module) -> None:
    """Draw the weights of convolutions as torchvision does for its ResNets."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
