"""Statistics over the batch of all processes, on any device.

``torch.nn.SyncBatchNorm`` does this on accelerators only; here the sums are reduced with
differentiable collectives, so that processes on CPUs agree with one process too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vos.backbones.layers import PixelCentring


class _Sum(torch.autograd.Function):
    """Sum of a tensor over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        torch.distributed.all_reduce(total)
        return total


def all_sum(tensor: Tensor) -> Tensor:
    """Sum of ``tensor`` over all processes, differentiable."""
    return _Sum.apply(tensor)


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """``BatchNorm2d`` whose statistics are those of the whole global batch.

    Every process must hold an equal share of the batch.
    """

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        if not self.training:
            return super().forward(images)
        count = images[:, 0].numel() * torch.distributed.get_world_size()
        mean = all_sum(images.sum(dim=(0, 2, 3))) / count
        centered = images - mean[None, :, None, None]
        variance = all_sum(centered.square().sum(dim=(0, 2, 3))) / count
        if self.track_running_stats and self.running_mean is not None:
            assert self.running_var is not None and self.num_batches_tracked is not None
            with torch.no_grad():
                momentum = self.momentum if self.momentum is not None else 0.1
                self.running_mean.lerp_(mean, momentum)
                self.running_var.lerp_(variance * (count / max(count - 1, 1)), momentum)
                self.num_batches_tracked += 1
        scaled = centered * torch.rsqrt(variance + self.eps)[None, :, None, None]
        if self.weight is None:
            return scaled
        return scaled * self.weight[None, :, None, None] + self.bias[None, :, None, None]


class GlobalPixelCentring(PixelCentring):
    """``PixelCentring`` by the mean over the whole global batch."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        if not self.training:
            return super().forward(features)
        mean = all_sum(features.mean(dim=0, keepdim=True)) / torch.distributed.get_world_size()
        with torch.no_grad():
            size = self.mean.shape[-2:]
            newest = nn.functional.interpolate(mean, size, mode="bilinear", align_corners=False)
            self.mean.lerp_(newest, self.momentum)
        return features - mean


def share_statistics(module: nn.Module) -> None:
    """Let every ``BatchNorm2d`` and ``PixelCentring`` inside see the batch of all processes.

    In place; parameters, buffers and their names stay as they are.
    """
    for child in module.modules():
        if type(child) is nn.BatchNorm2d:
            child.__class__ = GlobalBatchNorm2d
        elif type(child) is PixelCentring:
            child.__class__ = GlobalPixelCentring
