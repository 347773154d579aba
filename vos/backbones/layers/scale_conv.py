"""Convolutions on a scale space: one filter, dilated for each scale.

"Deep Scale-spaces: Equivariance Over Scale" (Worrall and Welling, NeurIPS 2019).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vos.backbones.base import Equivariance
from vos.backbones.layers.scale_space import ScaleSpace
from vos.errors import UsageError


class ScaleConv(nn.Module):
    """Convolution equivariant to zooming out by powers of ``space.base``, exact for whole bases.

    The output at scale ``s`` is ``sum_i psi_i * f_{s+i}``, i below ``space.interaction``, with
    filters dilated by ``base ** s``; scales beyond the last are read as zero. Zooming a lifted
    image out, ``f_s(x) -> f_{s+1}(base x)``, does the same to the output, up to the last scales.

    A dilation that is no whole number is interpolated: each tap is shared between its two
    nearest pixels in each direction, so that base 1.2 differs from base 1. On a pyramid
    (``bilinear`` lifting) nothing is dilated, and coarser maps are resized to the finer.

    Args:
        channels_in: of the input at each scale.
        channels_out: of the output at each scale.
        space: the scales.
        size: of the filters, odd.
        stride: 1 or 2, the same at every scale.

    Raises:
        UsageError: an even size.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        space: ScaleSpace,
        size: int = 3,
        *,
        stride: int = 1,
    ) -> None:
        super().__init__()
        if size % 2 == 0:
            raise UsageError(f"a scale convolution needs an odd size, got {size}")
        self.space, self.size, self.stride = space, size, stride
        # Scales one after another in the channels, as they are read.
        shape = (channels_out, space.interaction * channels_in, size, size)
        deviation = math.sqrt(2 / math.prod(shape[1:]))
        self.weight = nn.Parameter(torch.randn(shape) * deviation)

    @property
    def equivariance(self) -> Equivariance:
        """A shift along the scales."""
        whole = float(self.space.base).is_integer() and self.space.lifting == "gaussian"
        condition = "the last scales, beyond which there is zero"
        if not whole:
            condition += "; interpolation between pixels"
        return self.space.equivariance(
            exact=whole, output="a zoomed image moves one scale down", depends_on=condition
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps (B, C_in, H_s, W_s) -> maps (B, C_out, ceil(H_s / stride), ceil(W_s / stride))."""
        return [self._at(maps, scale) for scale in range(len(maps))]

    def _at(self, maps: Sequence[Tensor], scale: int) -> Tensor:
        stack = self._read(maps, scale)
        weight = self.weight[:, : stack.shape[1]]
        dilation = self.space.dilation(scale)
        if dilation.is_integer():
            step = int(dilation)
            return functional.conv2d(
                stack, weight, stride=self.stride, dilation=step, padding=step * (self.size // 2)
            )
        weight = stretched(weight, dilation)
        return functional.conv2d(stack, weight, stride=self.stride, padding=weight.shape[-1] // 2)

    def _read(self, maps: Sequence[Tensor], scale: int) -> Tensor:
        """Scales ``scale .. scale + interaction - 1`` at the size of the first, one after another
        in the channels."""
        read = list(maps[scale : scale + self.space.interaction])
        size = read[0].shape[-2:]
        for index, item in enumerate(read):
            if item.shape[-2:] != size:
                read[index] = functional.interpolate(
                    item, size, mode="bilinear", align_corners=False
                )
        return torch.cat(read, dim=1) if len(read) > 1 else read[0]


def stretched(weight: Tensor, dilation: float) -> Tensor:
    """Dilate filters (..., k, k) by any factor, their taps shared between the nearest pixels.

    Convolving by them is sampling the input bilinearly at the places of the dilated taps.

    Returns:
        (..., K, K) with K = 2 ceil(dilation (k - 1) / 2) + 1.
    """
    size = weight.shape[-1]
    places = dilation * (torch.arange(size, device=weight.device) - (size - 1) / 2)
    reach = math.ceil(dilation * (size - 1) / 2 - 1e-9)
    pixels = torch.arange(-reach, reach + 1, device=weight.device)
    shares = (1 - (pixels[:, None] - places[None, :]).abs()).clamp(min=0).to(weight)
    return shares @ weight @ shares.T


class EachScale(nn.Module):
    """The same layer at every scale: equivariant as the layer is, and to shifts along the scales.

    Args:
        layer: (B, C, H, W) -> (B, C', H', W'), such as a 1 x 1 convolution or a ReLU.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    @property
    def equivariance(self) -> Equivariance:
        """A shift along the scales."""
        return Equivariance(
            group="shifts along the scales",
            exact=True,
            output="scales move",
            depends_on="whether the layer looks at one place only",
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Apply to maps (B, C, H_s, W_s) -> maps (B, C', H'_s, W'_s)."""
        return [self.layer(item) for item in maps]


class ScaleNorm(nn.Module):
    """Batch norm equivariant to shifts along the scales: all scales share mean and deviation.

    Args:
        channels: at each scale.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)

    @property
    def equivariance(self) -> Equivariance:
        """A shift along the scales."""
        return Equivariance(
            group="shifts along the scales",
            exact=True,
            output="scales move",
            depends_on="nothing in evaluation; the batch while training",
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Apply to maps (B, C, H_s, W_s) -> maps of the same shapes."""
        if not self.training:
            return [self.norm(item) for item in maps]
        places = [item.flatten(2) for item in maps]
        together = self.norm(torch.cat(places, dim=2)[..., None]).squeeze(-1)
        parts = together.split([item.shape[2] for item in places], dim=2)
        return [part.view_as(item) for part, item in zip(parts, maps, strict=True)]
