"""Colour as a dense descriptor: what a token looks like, to set beside what it means."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from vos.backbones.base import Equivariance
from vos.errors import UsageError

CELLS = 2  # a side: the patch of a token is described by CELLS x CELLS mean colours
FREQUENCIES = 16
WIDTH = 0.1  # of the kernel, in units of 50 L or 100 a, b


def scaled_lab(images: torch.Tensor) -> torch.Tensor:
    """Turn (B, 3, H, W) RGB in [0, 1] into Lab: L in [-1, 1], a and b divided by 100."""
    from kornia.color import rgb_to_lab

    scale = images.new_tensor([50.0, 100.0, 100.0]).view(1, 3, 1, 1)
    offset = images.new_tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    return rgb_to_lab(images) / scale - offset


class ColourDescriptor(nn.Module):
    """Lab colours in the four quarters of each token's patch, equivariant to shifts by a token.

    Unit vectors, in two halves of equal weight, since objects differ in what tells them apart. The
    first is the list of the colours itself, made unit length: its products compare ratios of
    colours. The second holds random Fourier features ("Random Features for Large-Scale Kernel
    Machines", Rahimi and Recht, NeurIPS 2007): its products approach the mean over the quarters of
    ``exp(-|difference|^2 / (2 WIDTH^2))``, which falls off with distance.

    Args:
        stride: pixels per token, even.
    """

    frequencies: torch.Tensor

    channels = 3 * CELLS**2 + 2 * FREQUENCIES * CELLS**2

    def __init__(self, stride: int) -> None:
        super().__init__()
        if stride % CELLS:
            raise UsageError(f"colour needs a stride that is a multiple of {CELLS}, got {stride}")
        self.stride = stride
        # RandomState: a stream that numpy promises never to change. No part of the weights.
        drawn = np.random.RandomState(0).standard_normal((FREQUENCIES, 3)) / WIDTH
        frequencies = torch.from_numpy(drawn.astype(np.float32))
        self.register_buffer("frequencies", frequencies, persistent=False)

    @property
    def equivariance(self) -> Equivariance:
        """A shift of the token grid."""
        return Equivariance(
            group=f"translation by multiples of {self.stride} pixels",
            exact=True,
            output="the token grid shifts",
            depends_on="nothing: a token sees its own pixels alone",
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, H, W) RGB in [0, 1] -> (B, channels, ceil(H / stride), ceil(W / stride))."""
        bottom, right = -images.shape[-2] % self.stride, -images.shape[-1] % self.stride
        padded = functional.pad(images, (0, right, 0, bottom), mode="replicate")
        cells = scaled_lab(functional.avg_pool2d(padded, self.stride // CELLS))
        colours = functional.pixel_unshuffle(cells, CELLS)  # (B, 3 * CELLS^2, h, w)
        direct = functional.normalize(colours, dim=1)
        phases = functional.conv2d(cells, self.frequencies[:, :, None, None])
        waves = torch.cat([phases.cos(), phases.sin()], dim=1)
        waves = functional.pixel_unshuffle(waves, CELLS) / (FREQUENCIES * CELLS**2) ** 0.5
        return torch.cat([direct, waves], dim=1) / 2**0.5
