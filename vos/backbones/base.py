"""The contract of every backbone: images in, a dense feature map out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Equivariance:
    """What happens to the features when the image is transformed.

    Attributes:
        group: the group that acts, such as ``"translation by multiples of 8 pixels"``.
        exact: whether the equivariance holds to rounding error (away from the frame's border).
        output: how the features transform, such as ``"the token grid shifts"``.
        depends_on: the choices and conditions that it rests on.
    """

    group: str
    exact: bool
    output: str
    depends_on: str

    def __str__(self) -> str:
        return f"{self.group} ({'exact' if self.exact else 'approximate'})"


@dataclass(frozen=True)
class Recipe:
    """The family name and the options that rebuild a backbone, its weights apart."""

    family: str
    options: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: ``{"family": ..., "options": {...}}``."""
        return asdict(self)


class Backbone(nn.Module):
    """A network that turns an image into a dense feature map.

    Token ``(i, j)`` of the map stands for the pixels
    ``[i * stride, (i + 1) * stride) x [j * stride, (j + 1) * stride)``, for images of any size.
    A backbone normalises its own input: callers give plain RGB.

    Attributes:
        stride: pixels per token, in both directions.
        channels: channels of the feature map.
        equivariance: how the features follow transformations of the image.
        recipe: family and options that rebuild it; set by :func:`vos.backbones.build`.
        quantised: the file of its learnt part in 8 bits, where its checkpoint has one.
    """

    stride: int
    channels: int
    equivariance: Equivariance
    recipe: Recipe | None = None
    quantised: Path | None = None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Compute the features of a batch.

        Args:
            images: (B, 3, H, W) float RGB in [0, 1].

        Returns:
            (B, channels, ceil(H / stride), ceil(W / stride)) features, not normalised.
        """
        raise NotImplementedError

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Return the rows and columns of the feature map of a ``height x width`` image."""
        return -(-height // self.stride), -(-width // self.stride)
