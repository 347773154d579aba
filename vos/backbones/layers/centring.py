"""Pixel centring: subtract from each pixel the mean feature that its place has."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from vos.backbones.base import Equivariance


class PixelCentring(nn.Module):
    """Zero mean per place, equivariant to nothing: each place has a mean of its own.

    The mean is over the batch while training, and a running mean afterwards.

    This is the augmentation mode ``center`` of feature map inverse consistency: a network cannot
    lower the loss by learning a constant vector a pixel, because constants are taken out.

    The running mean is kept at ``size x size`` and resized to the features, so that training
    and test frames may be of any size.

    Args:
        channels: of the features.
        size: side of the running mean.
        momentum: share of the newest batch in the running mean.
    """

    mean: torch.Tensor

    def __init__(self, channels: int, size: int = 120, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(1, channels, size, size))

    @property
    def equivariance(self) -> Equivariance:
        """None: what is taken away stays where it is when the picture moves."""
        return Equivariance(
            group="the identity alone",
            exact=True,
            output="as it was",
            depends_on="the means: where they are the same at all places, every shift is kept",
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (B, C, h, w) -> (B, C, h, w)."""
        if not self.training:
            return features - _resize(self.mean, features.shape[-2:])
        batch_mean = features.mean(dim=0, keepdim=True)
        with torch.no_grad():
            newest = _resize(batch_mean, self.mean.shape[-2:])
            self.mean.lerp_(newest.to(self.mean.dtype), self.momentum)
        return features - batch_mean


def _resize(features: torch.Tensor, size: torch.Size) -> torch.Tensor:
    if features.shape[-2:] == size:
        return features
    return functional.interpolate(features, size=size, mode="bilinear", align_corners=False)
