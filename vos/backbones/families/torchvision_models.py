"""``torchvision:MODEL``: torchvision's convolutional networks with their published weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torchvision
from torch import nn

from vos.backbones.base import Backbone, Equivariance
from vos.backbones.families.resnet import ResNet, stem_and_stages
from vos.backbones.layers import Normalise, pad_to_multiple
from vos.backbones.registry import family
from vos.errors import MissingError, UsageError, near_names

MAX_STRIDE = 16


class FeatureStack(Backbone):
    """The first layers of a network whose ``features`` are a chain of layers.

    Args:
        layers: the chain, cut off after the last layer that is wanted.
        stride: pixels per token.
        channels: of the last layer.
        normalise: the network's input normalisation.
    """

    def __init__(
        self, layers: nn.Sequential, stride: int, channels: int, normalise: Normalise
    ) -> None:
        super().__init__()
        self.layers = layers
        self.normalise = normalise
        self.stride = stride
        self.channels = channels
        self.equivariance = Equivariance(
            group=f"translation by multiples of {stride} pixels",
            exact=False,
            output="the token grid shifts",
            depends_on="exact inside the frame for plain convolutions; squeeze-and-excitation "
            "layers look at the whole frame",
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(pad_to_multiple(self.normalise(images), self.stride))


@family("torchvision", "torchvision's convolutional networks, published weights", prefix=True)
def torchvision_backbone(
    name: str,
    pretrained: bool = True,
    weights: str = "DEFAULT",
    stride: int = 0,
    layer: int = 3,
) -> Backbone:
    """Build a torchvision network by name.

    Args:
        name: as in ``torchvision.models.list_models()``. ResNets (also wide, and ResNeXt) are
            made dense as in :class:`vos.backbones.resnet.ResNet`; others are cut off after the
            last of their ``features`` that fits the stride.
        pretrained: fetch the published weights; otherwise random ones.
        weights: which of them, ``DEFAULT`` or such as ``IMAGENET1K_V1``.
        stride: pixels per token; 0 stands for 8 for ResNets and for at most 16 for others.
        layer: last stage of a ResNet, 1 to 4.

    Raises:
        UsageError: unknown network, or one that has no such features.
        MissingError: weights that cannot be downloaded.
    """
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise UsageError(f"unknown torchvision model {name!r}: {near_names(name, known)}")
    network = _create(name, _weights(name, weights) if pretrained else None)
    if isinstance(network, torchvision.models.ResNet):
        return ResNet(*stem_and_stages(network, layer), stride=stride or 8)
    layers = getattr(network, "features", None)
    if not isinstance(layers, nn.Sequential):
        raise UsageError(f"torchvision:{name} has no chain of features: try timm:{name}")
    cut = _cut(layers, stride or MAX_STRIDE)
    if cut is None:
        raise UsageError(f"torchvision:{name} gives no aligned feature map: try timm:{name}")
    return FeatureStack(layers[: cut[0]], cut[1], cut[2], Normalise())


def _weights(name: str, label: str) -> Any:
    choices = torchvision.models.get_model_weights(name)
    if label != "DEFAULT" and label not in choices.__members__:
        hint = near_names(label, list(choices.__members__))
        raise UsageError(f"torchvision:{name} has no weights {label!r}: {hint}")
    return choices[label]


def _create(name: str, weights: Any) -> nn.Module:
    builder: Callable[..., nn.Module] = torchvision.models.get_model_builder(name)
    try:
        return builder(weights=weights)
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise MissingError(
            f"cannot get the weights of torchvision:{name}: {reason}; run once with a network, or "
            f"use torchvision:{name},pretrained=false for random weights"
        ) from error


def _cut(layers: nn.Sequential, limit: int) -> tuple[int, int, int] | None:
    """Return (number of layers, stride, channels) of the deepest map within the stride limit.

    Only maps that divide the image evenly count: token i must stay over its own pixels.
    """
    best = None
    features = torch.zeros(1, 3, 128, 128)
    was_training = layers.training
    layers.eval()
    with torch.inference_mode():
        for count, layer in enumerate(layers, start=1):
            features = layer(features)
            if features.ndim != 4 or features.shape[2] != features.shape[3]:
                return None  # channels last, or no map
            side = features.shape[2]
            if 128 % side or 128 // side > limit:
                break
            best = (count, 128 // side, features.shape[1])
    layers.train(was_training)
    return best if best is not None and best[1] > 1 else None
