"""Convolutions whose taps move: a parallel branch predicts where they look.

"Deformable Convolutional Networks" (Dai et al., ICCV 2017), and the same on a scale space.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from vos.backbones.base import Equivariance
from vos.backbones.layers.scale_conv import ScaleConv
from vos.backbones.layers.scale_space import ScaleSpace
from vos.errors import UsageError

OFFSETS = ("own", "shared")


class DeformableScaleConv(ScaleConv):
    """Deformable convolution equivariant to zooming out by powers of ``space.base``, roughly.

    As :class:`ScaleConv`, and a parallel scale convolution predicts for each place and tap an
    offset, in units of the dilation, by which it looks elsewhere. The branch starts at zero: at
    first this is the undeformed convolution. With a single scale it is the deformable convolution
    of Dai et al., equivariant to translation alone.

    Args:
        channels_in: of the input at each scale.
        channels_out: of the output at each scale.
        space: the scales.
        size: of the filters, odd.
        stride: 1 or 2.
        offsets: ``own``, predicted at each scale from its map, or ``shared``, predicted at the
            finest scale for all.

    Raises:
        UsageError: an even size, another kind of offsets, shared ones on maps of several sizes.
    """

    taps: Tensor

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        space: ScaleSpace,
        size: int = 3,
        *,
        stride: int = 1,
        offsets: str = "own",
    ) -> None:
        super().__init__(channels_in, channels_out, space, size, stride=stride)
        if offsets not in OFFSETS:
            raise UsageError(f"unknown offsets {offsets!r}: known: {', '.join(OFFSETS)}")
        if offsets == "shared" and space.lifting == "bilinear" and space.scales > 1:
            raise UsageError("offsets are shared between maps of one size: use gaussian lifting")
        self.offsets = offsets
        alone = ScaleSpace(space.base, space.scales, 1, space.lifting)
        self.branch = ScaleConv(channels_in, 2 * size * size, alone, 3, stride=stride)
        nn.init.zeros_(self.branch.weight)
        place = torch.arange(size) - (size - 1) / 2
        # (y, x) of each tap, as deform_conv2d orders the channels of its offsets.
        taps = torch.stack([place.repeat_interleave(size), place.repeat(size)], dim=1)
        self.register_buffer("taps", taps.view(1, -1, 1, 1), persistent=False)

    @property
    def equivariance(self) -> Equivariance:
        """A shift along the scales."""
        condition = "what the branch predicts; interpolation between pixels; the last scales"
        return self.space.equivariance(
            exact=self.space.scales == 1,
            output="the token grid shifts"
            if self.space.scales == 1
            else "a zoomed image moves one scale down",
            depends_on=condition if self.space.scales > 1 else "nothing but the border",
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps (B, C_in, H_s, W_s) -> maps (B, C_out, ceil(H_s / stride), ceil(W_s / stride))."""
        sources = maps if self.offsets == "own" else maps[:1]
        predicted = self.branch(sources)
        return [
            self._deformed(maps, scale, predicted[min(scale, len(predicted) - 1)])
            for scale in range(len(maps))
        ]

    def _deformed(self, maps: Sequence[Tensor], scale: int, predicted: Tensor) -> Tensor:
        stack = self._read(maps, scale)
        weight = self.weight[:, : stack.shape[1]]
        dilation = self.space.dilation(scale)
        # The dilation is an offset like others, so that it need not be a whole number.
        offsets = dilation * predicted + (dilation - 1) * self.taps
        return deform_conv2d(stack, offsets, weight, stride=self.stride, padding=self.size // 2)
