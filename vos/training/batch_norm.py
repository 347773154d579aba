"""Batch normalisation over the batch of all processes, on any device.

``torch.nn.SyncBatchNorm`` does this on accelerators only; here the two sums are reduced with
differentiable collectives, so that processes on CPUs agree with one process too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """``BatchNorm2d`` whose statistics are those of the whole global batch.

    Every process must hold an equal share of the batch.
    """

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        if not self.training:
            return super().forward(images)
        count = images[:, 0].numel() * torch.distributed.get_world_size()
        mean = all_reduce(images.sum(dim=(0, 2, 3))) / count
        centered = images - mean[None, :, None, None]
        variance = all_reduce(centered.square().sum(dim=(0, 2, 3))) / count
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


def share_batch_norm(module: nn.Module) -> None:
    """Make every ``BatchNorm2d`` inside ``module`` a :class:`GlobalBatchNorm2d`, in place.

    Parameters, buffers and their names stay as they are.
    """
    for child in module.modules():
        if type(child) is nn.BatchNorm2d:
            child.__class__ = GlobalBatchNorm2d
