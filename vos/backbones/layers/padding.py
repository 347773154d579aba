"""Images of any size for networks that want multiples of their stride."""

from __future__ import annotations

import torch
from torch.nn import functional


def pad_to_multiple(images: torch.Tensor, multiple: int) -> torch.Tensor:
    """Repeat the last row and column of (B, C, H, W) until both sides are multiples.

    Padding is on the right and at the bottom only, so that token ``i`` keeps covering the pixels
    ``[i * stride, (i + 1) * stride)``.
    """
    bottom, right = -images.shape[-2] % multiple, -images.shape[-1] % multiple
    if not bottom and not right:
        return images
    return functional.pad(images, (0, right, 0, bottom), mode="replicate")
