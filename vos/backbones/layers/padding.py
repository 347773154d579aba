"""Images of any size for networks that want multiples of their stride, and borders of maps."""

from __future__ import annotations

import torch
from torch.nn import functional

from vos.errors import UsageError, near_names

BORDERS = ("zeros", "replicate", "circular")


def pad_to_multiple(images: torch.Tensor, multiple: int) -> torch.Tensor:
    """Repeat the last row and column of (B, C, H, W) until both sides are multiples.

    Padding is on the right and at the bottom only, so that token ``i`` keeps covering the pixels
    ``[i * stride, (i + 1) * stride)``.
    """
    bottom, right = -images.shape[-2] % multiple, -images.shape[-1] % multiple
    if not bottom and not right:
        return images
    return functional.pad(images, (0, right, 0, bottom), mode="replicate")


def check_border(border: str) -> None:
    """Raise UsageError unless ``border`` is one of :data:`BORDERS`."""
    if border not in BORDERS:
        raise UsageError(f"unknown border {border!r}: {near_names(border, BORDERS)}")


def pad_border(maps: torch.Tensor, rows: int, columns: int, border: str) -> torch.Tensor:
    """Add ``rows`` above and below and ``columns`` left and right of (B, C, H, W).

    Args:
        border: ``zeros``, ``replicate`` (the nearest value) or ``circular`` (the other side, as
            often round as it takes).
    """
    if border == "circular":
        return _wrap(_wrap(maps, rows, -2), columns, -1)
    mode = "constant" if border == "zeros" else "replicate"
    return functional.pad(maps, (columns, columns, rows, rows), mode=mode)


def _wrap(maps: torch.Tensor, count: int, dim: int) -> torch.Tensor:
    if count == 0:
        return maps
    side = maps.shape[dim]
    if count <= side:
        before = maps.narrow(dim, side - count, count)
        return torch.cat([before, maps, maps.narrow(dim, 0, count)], dim=dim)
    places = torch.arange(-count, side + count, device=maps.device) % side
    return maps.index_select(dim, places)
