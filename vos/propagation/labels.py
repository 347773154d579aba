"""Masks of ids to soft labels on the token grid, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from vos.propagation.config import PropagationConfig

PLANES_AT_ONCE = 8  # of soft labels at full size
FAINT = 0.01  # a share of a token's label that is not worth carrying on


def mask_to_labels(
    mask: np.ndarray, ids: Sequence[int], grid: tuple[int, int], config: PropagationConfig
) -> Tensor:
    """One-hot planes of a mask, brought to the token grid.

    Args:
        mask: (H, W) uint8 ids; whatever is not in ``ids`` (void too) is background.
        ids: of the objects, in the order of the channels.

    Returns:
        (N, K + 1) float32, background first.
    """
    planes = (
        np.stack([mask == object_id for object_id in ids])
        if ids
        else np.zeros((0, *mask.shape), bool)
    )
    one_hot = torch.from_numpy(np.concatenate([~planes.any(0, keepdims=True), planes])).float()
    how = "nearest-exact" if config.mask_to_grid == "nearest" else config.mask_to_grid
    labels = _resize(one_hot[None], grid, how)[0]  # (K + 1, h, w)
    return labels.flatten(1).T.contiguous()


def labels_to_mask(
    labels: Tensor,
    ids: Sequence[int],
    grid: tuple[int, int],
    size: tuple[int, int],
    seen_size: tuple[int, int],
    config: PropagationConfig,
) -> np.ndarray:
    """Return the mask that soft labels stand for: enlarge, optionally stretch, take the largest.

    Args:
        labels: (N, K + 1) float.
        grid: height and width in tokens.
        size: height and width of the mask.
        seen_size: height and width of the frame as the backbone saw it.

    Returns:
        (H, W) uint8 ids.
    """
    if config.grid_to_mask == "bilinear-then-nearest":
        channels = _strongest(labels, grid, seen_size, "bilinear", min_max=config.min_max)
        channels = _resize(channels[None, None].float(), size, "nearest-exact")[0, 0].long()
    else:
        channels = _strongest(labels, grid, size, config.grid_to_mask, min_max=config.min_max)
    table = np.array([0, *ids], dtype=np.uint8)
    return table[channels.cpu().numpy()]


def _strongest(
    labels: Tensor, grid: tuple[int, int], size: tuple[int, int], how: str, *, min_max: bool
) -> Tensor:
    """Return (H, W) the channel with the largest enlarged value of every pixel, the first on ties.

    A few planes at a time, so that memory does not grow with the number of objects.
    """
    best = labels.new_full(size, -torch.inf)
    channels = torch.zeros(size, dtype=torch.long, device=labels.device)
    for start in range(0, labels.shape[1], PLANES_AT_ONCE):
        planes = enlarge(labels[:, start : start + PLANES_AT_ONCE], grid, size, how)
        if min_max:
            planes = stretch(planes)
        values, places = planes[0].max(0)
        stronger = values > best
        best = torch.where(stronger, values, best)
        channels = torch.where(stronger, places + start, channels)
    return channels


def enlarge(labels: Tensor, grid: tuple[int, int], size: tuple[int, int], how: str) -> Tensor:
    """Return (N, K + 1) labels of a grid as planes (1, K + 1, H, W)."""
    return _resize(labels.T.reshape(1, -1, *grid), size, how)


def stretch(planes: Tensor) -> Tensor:
    """Return each plane of (B, K + 1, H, W) stretched to [0, 1]; a constant plane becomes zero."""
    low = planes.amin((-2, -1), keepdim=True)
    high = planes.amax((-2, -1), keepdim=True)
    return (planes - low) / (high - low).clamp(min=torch.finfo(planes.dtype).tiny)


def sharpen(labels: Tensor, power: float) -> Tensor:
    """Return (N, K + 1) labels to the given power that sum to one, without those below 1 %."""
    powers = labels.clamp(min=0) ** power
    shares = powers / powers.sum(1, keepdim=True).clamp(min=torch.finfo(labels.dtype).tiny)
    kept = torch.where(shares < FAINT, 0, shares)
    return kept / kept.sum(1, keepdim=True).clamp(min=torch.finfo(labels.dtype).tiny)


def _resize(planes: Tensor, size: tuple[int, int], how: str) -> Tensor:
    if how in ("nearest", "nearest-exact"):
        return functional.interpolate(planes, size, mode=how)
    corners = how == "bilinear-corners"
    return functional.interpolate(planes, size, mode="bilinear", align_corners=corners)
