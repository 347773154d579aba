"""Cut and resize the crops of a whole batch at once, on the device that holds the clips.

Resizing a picture is linear in each direction, so that a batch of crops is two batched products
with the weights of an antialiased bilinear resampling: no launch per crop, which is what a GPU
would wait for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vos.datasets.clips import Clip


class FramePool:
    """The frames of all clips as one row of bytes on a device.

    Args:
        clips: decoded clips.
        device: where they are kept.
    """

    def __init__(self, clips: Sequence[Clip], device: torch.device) -> None:
        self.device = device
        self.shapes = np.array([clip.frames.shape[:3] for clip in clips])  # (T, H, W) each
        sizes = self.shapes.prod(1) * 3
        self.starts = np.concatenate([[0], np.cumsum(sizes)])  # first byte of each clip
        self.bytes = torch.empty(int(self.starts[-1]), dtype=torch.uint8, device=device)
        for clip, start, size in zip(clips, self.starts, sizes, strict=False):
            part = torch.from_numpy(np.array(clip.frames)).flatten()
            self.bytes[int(start) : int(start + size)].copy_(part)

    def crops(
        self,
        clips: Sequence[int],
        frames: Sequence[int],
        boxes: Sequence[tuple[int, int, int]],
        mirrored: Sequence[bool],
        size: int,
    ) -> Tensor:
        """Return square crops, resized: (B, 3, size, size) uint8.

        Args:
            clips, frames: which frame of which clip each crop is of.
            boxes: top, left and side of each crop, in pixels.
            mirrored: whether left and right change places.
            size: side of the crops that are returned.
        """
        top, left, side = np.array(boxes).T
        height, width = self.shapes[np.array(clips), 1:].T
        first = self.starts[np.array(clips)] + np.array(frames) * height * width * 3
        first = first + (top * width + left) * 3
        numbers = np.stack([first, width * 3, side, np.array(mirrored)])
        first, row, side, flip = torch.from_numpy(numbers).to(self.device)
        reach = torch.arange(int(numbers[2].max()), device=self.device)
        inside = torch.minimum(reach[None], side[:, None] - 1)  # (B, S)
        index = (first[:, None] + inside * row[:, None])[:, :, None, None]
        channel = torch.arange(3, device=self.device)
        index = index + inside[:, None, :, None] * 3 + channel  # (B, S, S, 3)
        pixels = self.bytes[index].permute(0, 3, 1, 2).float()
        weights = resampling(side, len(reach), size)  # (B, size, S)
        across = torch.where(flip[:, None, None] > 0, weights.flip(1), weights)
        resized = weights[:, None] @ pixels @ across[:, None].transpose(2, 3)
        return resized.round().clamp(0, 255).to(torch.uint8)


def resampling(sides: Tensor, reach: int, size: int) -> Tensor:
    """Return the weights that resize rows of ``sides`` (B,) pixels to ``size``: (B, size, reach).

    Those of ``torch.nn.functional.interpolate(mode="bilinear", antialias=True)``: triangles as
    wide as a pixel of the result, or of the source where that is larger. Each row sums to 1.
    """
    scale = (sides / size)[:, None, None]
    centre = (torch.arange(size, device=sides.device)[None, :, None] + 0.5) * scale
    place = torch.arange(reach, device=sides.device)[None, None] + 0.5
    weights = (1 - (place - centre).abs() / scale.clamp_min(1)).clamp_min(0)
    weights = weights * (place < sides[:, None, None])
    return weights / weights.sum(2, keepdim=True)
