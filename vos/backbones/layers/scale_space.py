"""Scale spaces: an image lifted to several scales, and pooled over them again.

"Deep Scale-spaces: Equivariance Over Scale" (Worrall and Welling, NeurIPS 2019). Lifted features
are a list of maps, finest scale first: (B, C, H_s, W_s) each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from vos.backbones.base import Equivariance
from vos.backbones.layers.padding import pad_border
from vos.errors import UsageError

LIFTINGS = ("gaussian", "bilinear")


@dataclass(frozen=True)
class ScaleSpace:
    """The scales that a network works on.

    Attributes:
        base: ratio of neighbouring scales, above 1; scale ``s`` sees the image ``base ** s``
            times smaller.
        scales: how many there are.
        interaction: a convolution at scale ``s`` reads scales ``s .. s + interaction - 1``.
        lifting: ``gaussian`` (maps of one size, blurred; filters are dilated) or ``bilinear``
            (a pyramid of smaller maps; filters stay as they are), called v1 and v2.

    Raises:
        UsageError: a choice that makes no sense.
    """

    base: float = 2.0
    scales: int = 3
    interaction: int = 1
    lifting: str = "gaussian"

    def __post_init__(self) -> None:
        if not 1 < self.base <= 4:
            raise UsageError(
                f"the base of a scale space must be above 1 and at most 4: {self.base}"
            )
        if not 1 <= self.scales <= 8:
            raise UsageError(f"a scale space has 1 to 8 scales, got {self.scales}")
        if not 1 <= self.interaction <= self.scales:
            raise UsageError(
                f"interaction must be between 1 and the number of scales, {self.scales}, "
                f"got {self.interaction}"
            )
        if self.lifting not in LIFTINGS:
            raise UsageError(f"unknown lifting {self.lifting!r}: known: {', '.join(LIFTINGS)}")

    def dilation(self, scale: int) -> float:
        """Return how far apart the taps of a filter are at ``scale``, in pixels of its map."""
        return self.base**scale if self.lifting == "gaussian" else 1.0

    def equivariance(self, *, exact: bool, output: str, depends_on: str) -> Equivariance:
        """Return the :class:`Equivariance` of a layer on this scale space."""
        group = "translation"
        if self.scales > 1:
            group = f"zooming out by powers of {self.base:g}"
        return Equivariance(group=group, exact=exact, output=output, depends_on=depends_on)


def discrete_gaussian(variance: float) -> Tensor:
    """Return the taps of the discrete Gaussian ``exp(-t) I_n(t)``, n = -r .. r, which sum to 1.

    Blurring by two of them one after the other is blurring once by the sum of the variances,
    exactly, as for no sampled Gaussian ("Scale-space for discrete signals", Lindeberg 1990).
    """
    from scipy.special import ive

    reach = math.ceil(4 * math.sqrt(variance)) + 1 if variance > 0 else 0
    taps = torch.tensor([ive(abs(n), variance) for n in range(-reach, reach + 1)])
    return (taps / taps.sum()).float()


class GaussianLift(nn.Module):
    """Lifting that is equivariant to zooming out by powers of ``base``, up to sampling.

    Scale ``s`` is the image blurred by a discrete Gaussian of variance
    ``zero_scale ** 2 (base ** (2 s) - 1)``: as much as an image of smoothness ``zero_scale``
    needs to look like itself seen ``base ** s`` times smaller. Quarter turns are exact.

    Args:
        space: its base and number of scales.
        zero_scale: smoothness that the image has already, in pixels.
    """

    def __init__(self, space: ScaleSpace, zero_scale: float = 0.5) -> None:
        super().__init__()
        if not zero_scale > 0:
            raise UsageError(f"zero_scale must be positive, got {zero_scale}")
        self.space = space
        for scale in range(space.scales):
            taps = discrete_gaussian(zero_scale**2 * (space.base ** (2 * scale) - 1))
            place = torch.empty(0).device
            self.register_buffer(f"taps{scale}", taps.to(place), persistent=False)

    @property
    def equivariance(self) -> Equivariance:
        """A shift along the scales."""
        return self.space.equivariance(
            exact=False,
            output="a zoomed image moves one scale down",
            depends_on="sampling: exact for continuous images; and the last scale",
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map (B, C, H, W) -> ``scales`` maps (B, C, H, W)."""
        return [images, *(self._blurred(images, s) for s in range(1, self.space.scales))]

    def _blurred(self, images: Tensor, scale: int) -> Tensor:
        taps = getattr(self, f"taps{scale}")
        channels, reach = images.shape[1], len(taps) // 2
        images = pad_border(images, reach, reach, "replicate")
        for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
            filters = taps.view(shape).expand(channels, -1, -1, -1)
            images = functional.conv2d(images, filters, groups=channels)
        return images


class BilinearLift(nn.Module):
    """Lifting that is equivariant to zooming out by powers of ``base``, up to aliasing.

    Scale ``s`` is the image resized to ``1 / base ** s`` of its size: smaller maps cost less.

    Args:
        space: its base and number of scales.
    """

    def __init__(self, space: ScaleSpace) -> None:
        super().__init__()
        self.space = space

    @property
    def equivariance(self) -> Equivariance:
        """A shift along the scales."""
        return self.space.equivariance(
            exact=False,
            output="a zoomed image moves one scale down",
            depends_on="sampling: bilinear interpolation does not blur; sizes are rounded",
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map (B, C, H, W) -> maps (B, C, ceil(H / base ** s), ceil(W / base ** s))."""
        height, width = images.shape[-2:]
        maps = [images]
        for scale in range(1, self.space.scales):
            factor = self.space.base**scale
            size = (math.ceil(height / factor - 1e-9), math.ceil(width / factor - 1e-9))
            maps.append(functional.interpolate(images, size, mode="bilinear", align_corners=False))
        return maps


def make_lift(space: ScaleSpace, zero_scale: float = 0.5) -> nn.Module:
    """Return the lifting that ``space`` asks for."""
    return GaussianLift(space, zero_scale) if space.lifting == "gaussian" else BilinearLift(space)


class ScalePool(nn.Module):
    """Pooling over scales that is invariant to a shift along them, the last scales apart.

    The average of the maps. Maps of several sizes are max-pooled to the grid of the tokens first,
    which should be that of the smallest of them. Quarter turns are exact.

    Args:
        space: the scales.
    """

    def __init__(self, space: ScaleSpace) -> None:
        super().__init__()
        self.space = space

    @property
    def equivariance(self) -> Equivariance:
        """The grid shrinks with the image."""
        return self.space.equivariance(
            exact=False,
            output="the token grid shrinks with the image",
            depends_on="the last scales, which a zoomed image has and the image has not",
        )

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Apply to maps (B, C, H_s, W_s) -> (B, C, *size)."""
        pooled = [max_pool_to(max_pool_to(maps_s, size[0], -2), size[1], -1) for maps_s in maps]
        total = pooled[0]
        for others in pooled[1:]:
            total = total + others
        return total / len(pooled)


def max_pool_to(maps: Tensor, side: int, dim: int) -> Tensor:
    """Return the largest value in each of ``side`` equal parts of one direction.

    Parts are rounded outwards, as in ``torch.nn.functional.adaptive_max_pool2d``.
    """
    length = maps.shape[dim]
    if length == side:
        return maps
    first = [part * length // side for part in range(side)]
    last = [-(-(part + 1) * length // side) - 1 for part in range(side)]
    widest = max(end - start for start, end in zip(first, last, strict=True)) + 1
    places = [
        [min(start + step, end) for step in range(widest)]
        for start, end in zip(first, last, strict=True)
    ]
    index = torch.tensor(places, device=maps.device).flatten()
    # The positions within a part are the axis right behind that of the parts.
    return maps.index_select(dim, index).unflatten(dim, (side, widest)).amax(dim=dim)
