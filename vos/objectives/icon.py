"""Inverse consistency of two feature maps (ICON): go from A to B and back, and return.

The formula is in `vos.objectives.icon_dense`; here are the loss that is trained, the choice of an
implementation for it, and the sphere that features are put on.

Source: "Feature map inverse consistency", https://github.com/uncbiag/FeatureMapICON.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from vos.errors import UsageError
from vos.machine import triton_works
from vos.objectives.icon_all_ways import all_ways_dense
from vos.objectives.icon_dense import RoundTrip, inverse_consistency_dense

INITIAL_RADIUS = 12.0
DENSE_UP_TO = 128 * 128  # scores a sample; more are made tile by tile
ALL_WAYS_DENSE_UP_TO = 2048 * 2048  # scores of all samples, where the eight round trips share them


class Sphere(nn.Module):
    """Put the features of every token on a sphere of trainable radius.

    Dot products then lie within ± radius², which plays the part of an inverse temperature.
    Works along channel dimension ``dim``: 1 for feature maps ``(B, C, h, w)``, -1 for tokens.
    """

    def __init__(self, radius: float = INITIAL_RADIUS, *, dim: int = 1) -> None:
        super().__init__()
        self.radius = nn.Parameter(torch.tensor(float(radius)))
        self.dim = dim

    def forward(self, features: Tensor) -> Tensor:
        """Return features of length ``radius`` of features of any length, of the same shape."""
        return functional.normalize(features, dim=self.dim) * self.radius


class Scale(nn.Module):
    """Features of any length times a trainable number: what `Sphere` is compared with.

    Features whose channels have a variance of 1 get the length ``radius`` at first, on average.
    """

    def __init__(self, radius: float = INITIAL_RADIUS) -> None:
        super().__init__()
        self.radius = nn.Parameter(torch.tensor(float(radius)))

    def forward(self, features: Tensor) -> Tensor:
        """Return features ``(B, C, h, w)`` of the same shape."""
        return features * (self.radius / features.shape[1] ** 0.5)


def tokens(feature_map: Tensor) -> Tensor:
    """Return a feature map ``(B, C, h, w)`` as tokens ``(B, h*w, C)``, row by row."""
    return feature_map.flatten(2).transpose(1, 2)


def inverse_consistency(trip: RoundTrip, *, floor: float = 0.0) -> Tensor:
    """Return the log-probability that each token of A returns to itself, in linear memory.

    Same arguments, result and errors as `inverse_consistency_dense`; chooses the
    implementation for the device and the size. Features of 16 bits are accumulated in float32.
    """
    trip.check()
    return _implementation(trip.a_row, trip.b_row)(trip, floor=floor)


def _implementation(a: Tensor, b: Tensor) -> Callable[..., Tensor]:
    if a.shape[1] * b.shape[1] <= DENSE_UP_TO:
        return inverse_consistency_dense
    if a.device.type == "cpu":
        from vos.objectives.icon_tiled import inverse_consistency_tiled

        return inverse_consistency_tiled
    if a.device.type == "cuda" and a.dtype is not torch.float64 and triton_works():
        from vos.objectives.icon_triton import inverse_consistency_triton, most_channels

        if a.shape[2] <= most_channels(a.device):
            return inverse_consistency_triton
    return inverse_consistency_dense


def inverse_consistency_loss(
    trip: RoundTrip, *, floor: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """Return minus the mean of `inverse_consistency`: a scalar, at least ``-log(1 + floor)``.

    It is the mean over samples of the mean over the tokens of A that count, so that a batch may be
    split in any way. A sample without such tokens counts as 0.

    Args:
        trip: features and masks.
        floor: see `inverse_consistency_dense`.
        weights: ``(B, N)`` non-negative weights of the tokens of A, default all 1.

    >>> features = 12 * torch.eye(5)[None]  # five tokens nobody can confuse
    >>> float(inverse_consistency_loss(RoundTrip(features, features, features, features)))
    0.0
    """
    log_p = inverse_consistency(trip, floor=floor)
    counted = trip.counted()
    if counted is None and weights is None:
        return -log_p.mean()
    share = torch.ones_like(log_p) if weights is None else weights
    if counted is not None:
        share = share * counted
    total = share.sum(1).clamp_min(torch.finfo(log_p.dtype).tiny)
    return -((share * log_p).sum(1) / total).mean()


def all_ways_loss(trip: RoundTrip, *, floor: float = 0.0) -> Tensor:
    """Return the mean of `inverse_consistency_loss` over all eight round trips of four draws.

    Args:
        trip: features and masks; ``a_row`` and ``a_col`` are the draws of A, ``b_row`` and
            ``b_col`` those of B.
        floor: see `inverse_consistency_dense`.
    """
    if trip.a_row[..., 0].numel() * trip.b_row.shape[1] <= ALL_WAYS_DENSE_UP_TO:
        return all_ways_dense(trip, floor=floor)
    losses = [inverse_consistency_loss(way, floor=floor) for way in round_trips(trip)]
    return torch.stack(losses).mean()


def round_trips(trip: RoundTrip) -> list[RoundTrip]:
    """Return the eight round trips that the four draws of a pair allow, the given one first.

    Each goes there by one draw of either frame and back by the other one, from A or from B.
    """
    a_one, b_one, a_two, b_two = trip.features()
    ways = [
        trip,
        trip._replace(a_row=a_two, b_row=b_two, a_col=a_one, b_col=b_one),
        trip._replace(b_row=b_two, b_col=b_one),
        trip._replace(a_row=a_two, a_col=a_one),
    ]
    return [*ways, *(way.reversed() for way in ways)]


@torch.no_grad()
def cycle_accuracy(
    trip: RoundTrip, *, grid: tuple[int, int], distance: float = 0.0, starts: int = 256
) -> Tensor:
    """Return the share of tokens that nearest neighbours bring back to within ``distance`` tokens.

    A cheap stand-in for "the most probable end of the round trip": each start goes to its most
    probable token of B and from there to the most probable token of A. ``starts`` tokens,
    evenly spread, are tried, so the cost is linear in the number of tokens.

    Args:
        trip: features and masks.
        grid: height and width of frame A in tokens, ``N = height * width``.
        distance: Euclidean distance in tokens that still counts as back home.
        starts: how many tokens are tried.

    Returns:
        a scalar in [0, 1] (0 when no token is valid).
    """
    trip.check()
    count = trip.a_row.shape[1]
    if grid[0] * grid[1] != count:
        raise UsageError(f"grid {grid[0]} x {grid[1]} does not hold {count} tokens of frame A")
    device = trip.a_row.device
    start = torch.linspace(0, count - 1, min(starts, count), device=device).round().long()
    h = trip.a_row[:, start] @ trip.b_row.transpose(1, 2)  # (B, starts, M)
    if trip.b_valid is not None:
        h = h.masked_fill(~trip.b_valid[:, None, :], -torch.inf)
    there = h.argmax(2)  # (B, starts)
    arrived = trip.b_col.gather(1, there[:, :, None].expand(-1, -1, trip.b_col.shape[2]))
    v = arrived @ trip.a_col.transpose(1, 2)  # (B, starts, N)
    if trip.a_valid is not None:
        v = v.masked_fill(~trip.a_valid[:, None, :], -torch.inf)
    end = v.argmax(2)
    dy = end // grid[1] - start // grid[1]
    dx = end % grid[1] - start % grid[1]
    back = (dy**2 + dx**2) <= distance**2
    counted = trip.counted()
    if counted is None:
        return back.float().mean()
    counted = counted.expand(-1, count)[:, start]
    return (back & counted).sum() / counted.sum().clamp_min(1)
