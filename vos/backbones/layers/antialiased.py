"""Down- and up-sampling that respects turns and mirror images, at odd and at even sizes.

A map of H rows becomes one of ``ceil(H / 2)``. Quarter turns are kept only if the samples lie
symmetrically about the centre of the picture: at rows 0, 2, ..., H - 1 where H is odd, at rows
1/2, 5/2, ..., H - 3/2 where it is even. So the parity of the size chooses the filter: an odd
number of taps at pixels, or an even number between them. Up-sampling goes the same way back.

"Making Convolutional Networks Shift-Invariant Again" (Zhang, ICML 2019); Gaussians as in e2cnn.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vos.backbones.base import Equivariance
from vos.backbones.layers.filter_bases import gaussian_taps
from vos.backbones.layers.padding import check_border, pad_border
from vos.errors import UsageError


def _equivariance(what_the_parity_chooses: str) -> Equivariance:
    return Equivariance(
        group="rotation and reflection D4",
        exact=True,
        output="the grid is turned, channels transform as they did",
        depends_on=f"nothing: the parity of the size chooses {what_the_parity_chooses}",
    )


class BlurPool(nn.Module):
    """D4-equivariant antialiased average pooling by 2, exact for odd and even sizes.

    Each channel is blurred by a Gaussian and every second value is kept. Shifts by two pixels are
    kept as well, and those by one pixel the better the larger ``sigma``.

    Args:
        sigma: standard deviation in pixels; ``2 round(reach sigma) + 1`` taps.
        border: what is beyond the map.

    Raises:
        UsageError: a sigma that is not positive, an unknown border.
    """

    odd: Tensor
    even: Tensor
    reach = 3  # standard deviations, as e2cnn's average pool

    def __init__(self, sigma: float = 0.66, border: str = "replicate") -> None:
        super().__init__()
        if not sigma > 0:
            raise UsageError(f"sigma must be positive, got {sigma}")
        check_border(border)
        self.border = border
        for name in ("odd", "even"):
            taps = gaussian_taps(sigma, even=name == "even", reach=self.reach * sigma)
            self.register_buffer(name, taps.to(torch.empty(0).device), persistent=False)

    @property
    def equivariance(self) -> Equivariance:
        """Turned with the picture, channel by channel."""
        return _equivariance("the filter")

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, H, W) -> (B, C, ceil(H / 2), ceil(W / 2))."""
        rows = self._taps(features.shape[-2])
        columns = self._taps(features.shape[-1])
        return self._along(self._along(features, rows, -2), columns, -1)

    def _taps(self, side: int) -> Tensor:
        return self.odd if side % 2 else self.even

    def _along(self, features: Tensor, taps: Tensor, dim: int) -> Tensor:
        """Blur and halve one direction: a convolution of every channel by itself."""
        channels, reach = features.shape[1], (len(taps) - 1) // 2
        vertical = dim == -2
        padded = pad_border(features, *((reach, 0) if vertical else (0, reach)), self.border)
        shape = (1, 1, -1, 1) if vertical else (1, 1, 1, -1)
        stride = (2, 1) if vertical else (1, 2)
        filters = taps.view(shape).expand(channels, -1, -1, -1)
        return functional.conv2d(padded, filters, stride=stride, groups=channels)


class MaxBlurPool(BlurPool):
    """D4-equivariant antialiased max pooling by 2, exact for odd and even sizes.

    The largest of 3 x 3 values around each place, then :class:`BlurPool`. Good for trivial and
    regular fields alone: a maximum commutes with permutations and with nothing more general.

    Args:
        sigma: of the Gaussian.
        border: what is beyond the map, for the blur; a maximum never takes it from outside,
            unless the border is circular.
    """

    reach = 4  # standard deviations, as e2cnn's max pool

    def __init__(self, sigma: float = 0.6, border: str = "replicate") -> None:
        super().__init__(sigma, border)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, H, W) -> (B, C, ceil(H / 2), ceil(W / 2))."""
        if self.border == "circular":
            largest = functional.max_pool2d(pad_border(features, 1, 1, "circular"), 3, stride=1)
        else:
            largest = functional.max_pool2d(features, 3, stride=1, padding=1)
        return super().forward(largest)


class Upsample(nn.Module):
    """D4-equivariant bilinear up-sampling, exact: the way back from :class:`BlurPool`.

    Args:
        border: ``circular`` interpolates over the border to the other side; anything else
            repeats the nearest value.
    """

    def __init__(self, border: str = "replicate") -> None:
        super().__init__()
        check_border(border)
        self.border = border

    @property
    def equivariance(self) -> Equivariance:
        """Turned with the picture, channel by channel."""
        return _equivariance("the places")

    def forward(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """Map (B, C, ceil(H / 2), ceil(W / 2)) -> (B, C, H, W), where ``size`` is (H, W)."""
        height, width = size
        features = self._along(features, height, -2)
        return self._along(features, width, -1)

    def _along(self, features: Tensor, side: int, dim: int) -> Tensor:
        if side % 2:  # samples lie on pixels 0, 2, ..., side - 1
            return functional.interpolate(
                features, _with(features, side, dim), mode="bilinear", align_corners=True
            )
        margin = 1 if self.border == "circular" else 0
        if margin:
            features = pad_border(features, *((1, 0) if dim == -2 else (0, 1)), "circular")
        wide = functional.interpolate(
            features, _with(features, side + 4 * margin, dim), mode="bilinear", align_corners=False
        )
        return wide.narrow(dim, 2 * margin, side)


def _with(features: Tensor, side: int, dim: int) -> tuple[int, int]:
    """Return the size of ``features`` with ``dim`` of it replaced."""
    height, width = features.shape[-2:]
    return (side, width) if dim == -2 else (height, side)
