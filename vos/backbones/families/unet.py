"""The UNets of feature map inverse consistency: a feature vector for every pixel.

``short``, ``tall`` and ``taller`` have 4, 5 and 7 levels; the number in the name is the width of
the features at full resolution.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from vos.backbones.base import Backbone, Equivariance
from vos.backbones.layers import Normalise, PixelCentring, pad_to_multiple
from vos.backbones.registry import family
from vos.errors import UsageError

# Channels after each down-sampling, and of each level on the way up from full resolution on.
_DOWN = {
    "short": (64, 64, 128, 256),
    "tall": (64, 64, 128, 256, 512),
    "taller": (64, 64, 128, 256, 512, 512, 512),
}
_UP = {
    "short": (64, 64, 128, 512),
    "tall": (64, 64, 128, 256, 256),
    "taller": (64, 64, 128, 256, 256, 512, 512),
}


class Down(nn.Module):
    """Half the resolution: a 3x3 convolution of stride 2 plus the average-pooled input."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        change = self.conv(functional.leaky_relu(features))
        pooled = functional.avg_pool2d(features, 2)
        surplus = change.shape[1] - pooled.shape[1]
        # The residual has no weights: channels that one side lacks are zero or left out.
        return change + functional.pad(pooled, (0, 0, 0, 0, 0, surplus))


class Residual(nn.Module):
    """``x + conv(relu(norm(conv(relu(norm(x))))))``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        change = self.conv1(functional.relu(self.norm1(features)))
        return features + self.conv2(functional.relu(self.norm2(change)))


class Up(nn.Module):
    """Twice the resolution: a 4x4 transposed convolution, a residual block, batch norm."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels_in, channels_out, 4, stride=2, padding=1)
        self.residual = Residual(channels_out)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.norm(self.residual(self.conv(functional.leaky_relu(features))))


class UNet(Backbone):
    """A UNet whose output may be averaged over ``stride x stride`` pixels.

    Args:
        down: channels after each down-sampling.
        up: channels of each level on the way up, full resolution first; ``up[0]`` is the width
            of the features.
        stride: a power of two up to ``2 ** len(down)``; features of a token are the mean of the
            features of its pixels.
        center: subtract the mean feature of each place (mode ``center`` of the method).
    """

    def __init__(
        self, down: tuple[int, ...], up: tuple[int, ...], *, stride: int = 1, center: bool = False
    ) -> None:
        super().__init__()
        levels = len(down)
        if stride not in [2**level for level in range(levels + 1)]:
            raise UsageError(f"this UNet has stride 1, 2, 4, ... or {2**levels}, got {stride}")
        self.stride = stride
        self.channels = up[0]
        self.multiple = 2**levels
        self.normalise = Normalise()
        skips = (3, *down[:-1])
        below = (*(up[level] + skips[level] for level in range(1, levels)), down[-1])
        self.down = nn.ModuleList(Down(skips[level], down[level]) for level in range(levels))
        self.up = nn.ModuleList(Up(below[level], up[level]) for level in range(levels))
        self.last = nn.Conv2d(up[0] + 3, up[0], 3, padding=1)
        self.centring = PixelCentring(up[0]) if center else None
        self.equivariance = _equivariance(levels, center)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[-2:]
        features = pad_to_multiple(self.normalise(images), self.multiple)
        skips = []
        for down in self.down:
            skips.append(features)
            features = down(features)
        for up, skip in zip(reversed(self.up), reversed(skips), strict=True):
            features = torch.cat([up(features), skip], dim=1)
        features = self.last(features)
        if self.centring is not None:
            features = self.centring(features[..., :height, :width])
            features = pad_to_multiple(features, self.stride)
        if self.stride > 1:
            features = functional.avg_pool2d(features, self.stride)
        rows, columns = self.grid(height, width)
        return features[..., :rows, :columns]


def _equivariance(levels: int, center: bool) -> Equivariance:
    # Reach of the convolutions of all levels, both ways, as the gradient shows it.
    reach = 2 ** (levels + 2) - 1
    conditions = f"pixels {reach} or more from the frame's border, where zero padding shows"
    if center:
        conditions += "; the running mean of a place, which does not shift with the image"
    return Equivariance(
        group=f"translation by multiples of {2**levels} pixels",
        exact=not center,
        output="the token grid shifts",
        depends_on=conditions,
    )


def _make(size: str, width: int, stride: int, center: bool) -> UNet:
    up = tuple(max(channels, width) for channels in _UP[size])
    return UNet(_DOWN[size], up, stride=stride, center=center)


@family("unet-short-64", "UNet with 4 levels, 64 channels a pixel, random weights")
def short_64(stride: int = 1, center: bool = False) -> UNet:
    return _make("short", 64, stride, center)


@family("unet-tall-64", "UNet with 5 levels, 64 channels a pixel, random weights")
def tall_64(stride: int = 1, center: bool = False) -> UNet:
    return _make("tall", 64, stride, center)


@family("unet-taller-64", "UNet with 7 levels, 64 channels a pixel, random weights")
def taller_64(stride: int = 1, center: bool = False) -> UNet:
    return _make("taller", 64, stride, center)


@family("unet-short-128", "UNet with 4 levels, 128 channels a pixel, random weights")
def short_128(stride: int = 1, center: bool = False) -> UNet:
    return _make("short", 128, stride, center)


@family("unet-tall-128", "UNet with 5 levels, 128 channels a pixel, random weights")
def tall_128(stride: int = 1, center: bool = False) -> UNet:
    return _make("tall", 128, stride, center)


@family("unet-taller-128", "UNet with 7 levels, 128 channels a pixel, random weights")
def taller_128(stride: int = 1, center: bool = False) -> UNet:
    return _make("taller", 128, stride, center)
