"""Optical flow on the token grid: averaged to tokens, and followed back to each context frame.

A motion is (N, 2): rows and columns, in tokens, from each token of one frame to where it was in
another.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from vos.errors import UsageError


def token_motion(flow: np.ndarray | Tensor, grid: tuple[int, int]) -> Tensor:
    """Return the mean flow of each token's pixels, as a motion.

    Args:
        flow: (H, W, 2) columns and rows, in pixels of its own grid, from each pixel to where it
            was in the other frame. Pixels that are not finite are not known: a token is averaged
            over those that are known, and does not move where fewer than half of them are.
        grid: height and width in tokens.

    Raises:
        UsageError: ``flow`` has another shape.
    """
    pixels = torch.as_tensor(flow)
    if pixels.ndim != 3 or pixels.shape[2] != 2 or 0 in pixels.shape:
        raise UsageError(
            f"flow must be (height, width, 2), in pixels, not {tuple(pixels.shape)}: "
            "columns and rows to where each pixel was in the frame before"
        )
    scales = pixels.new_tensor(grid).float() / pixels.new_tensor(pixels.shape[:2]).float()
    means = _means(pixels, grid).flip(1) * scales
    if bool(means.isfinite().all()):
        return means
    known = pixels.isfinite().all(2, keepdim=True)
    share = _means(known, grid)
    means = _means(torch.where(known, pixels, 0), grid).flip(1) * scales
    return torch.where(share >= 0.5, means / share.clamp(min=0.5), 0)


def _means(pixels: Tensor, grid: tuple[int, int]) -> Tensor:
    """(H, W, C) pixels -> (N, C) float, their means by token."""
    planes = pixels.permute(2, 0, 1).float().contiguous()
    return functional.adaptive_avg_pool2d(planes[None], grid)[0].flatten(1).T


def follow(motion: Tensor, onwards: Tensor, grid: tuple[int, int]) -> Tensor:
    """Motions joined end to end: first ``motion``, then ``onwards`` from where it leads.

    Args:
        motion: (N, 2) from a frame to the one before it.
        onwards: (S, N, 2) from the one before to S others.

    Returns:
        (S, N, 2) from the frame to the S others. ``onwards`` is read at the nearest token (at the
        border of the frame where ``motion`` leads out of it), so that the motions of two sides of
        an object's border do not mix.
    """
    return motion + onwards[:, places_led_to(motion, grid)]


def places_led_to(motion: Tensor, grid: tuple[int, int]) -> Tensor:
    """(..., N, 2) -> (..., N) int64, the place nearest to where a token was, or at the border."""
    height, width = grid
    own = torch.arange(height * width, device=motion.device)
    rows = (own // width + (motion[..., 0] + 0.5).floor()).clamp(0, height - 1)
    columns = (own % width + (motion[..., 1] + 0.5).floor()).clamp(0, width - 1)
    return (rows * width + columns).long()
