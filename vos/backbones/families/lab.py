"""Raw Lab colour patches: no learning, the baseline that every learnt feature must beat."""

from __future__ import annotations

import torch
from torch.nn import functional

from vos.backbones.base import Backbone, Equivariance
from vos.backbones.layers import scaled_lab
from vos.backbones.registry import family
from vos.errors import UsageError


class LabPatches(Backbone):
    """Each token is the list of the Lab pixels of its patch.

    ``L`` is mapped from [0, 100] to [-1, 1], ``a`` and ``b`` are divided by 100. At the border
    the patch sees the nearest pixels of the frame (replication).

    Args:
        stride: pixels per token.
        patch: side of the patch in pixels, at least the stride and differing from it by an even
            number, so that the patch is centred on its token.
    """

    def __init__(self, stride: int = 8, patch: int = 8) -> None:
        super().__init__()
        if stride < 1:
            raise UsageError(f"lab: the stride must be at least 1, got {stride}")
        if patch < stride or (patch - stride) % 2:
            raise UsageError(f"lab: the patch must be {stride}, {stride + 2}, ..., got {patch}")
        self.stride = stride
        self.patch = patch
        self.channels = 3 * patch**2
        self.equivariance = Equivariance(
            group=f"translation by multiples of {stride} pixels",
            exact=True,
            output="the token grid shifts",
            depends_on="nothing but the frame's border",
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        lab = scaled_lab(images)
        rows, columns = self.grid(*images.shape[-2:])
        margin = (self.patch - self.stride) // 2
        right = columns * self.stride - images.shape[-1] + margin
        bottom = rows * self.stride - images.shape[-2] + margin
        lab = functional.pad(lab, (margin, right, margin, bottom), mode="replicate")
        if margin == 0:
            return functional.pixel_unshuffle(lab, self.stride)
        patches = functional.unfold(lab, self.patch, stride=self.stride)
        return patches.view(len(images), self.channels, rows, columns)


@family("lab", "raw Lab colour patches, no learning: the baseline to beat")
def lab(stride: int = 8, patch: int = 0) -> LabPatches:
    """Build Lab patches; ``patch`` 0 stands for the stride."""
    return LabPatches(stride, patch or stride)
