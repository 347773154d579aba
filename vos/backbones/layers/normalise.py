"""Input normalisation: RGB in [0, 1] to zero mean and unit deviation a channel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from vos.backbones.base import Equivariance

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Normalise(nn.Module):
    """``(images - mean) / std`` per channel, equivariant to whatever moves pixels.

    The constants are no part of the weights.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    @property
    def equivariance(self) -> Equivariance:
        """As the pixels move."""
        return Equivariance(
            group="everything that moves pixels",
            exact=True,
            output="pixels move",
            depends_on="nothing: each pixel is seen by itself",
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images - self.mean) / self.std
