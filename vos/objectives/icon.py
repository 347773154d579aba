"""Inverse consistency of two feature maps (ICON): go from A to B and back, and return.

Token ``i`` of frame A goes to token ``j`` of frame B with probability ``softmax_j(h_ij)`` and
from there to token ``k`` of frame A with probability ``softmax_k(v_kj)``. The objective is the
probability of ending where one began, in log space:

    log P_i = logsumexp_j(h_ij + v_ij - lse_h(i) - lse_v(j))
    h = a_row @ b_rowᵀ,  lse_h(i) = logsumexp_j h_ij
    v = a_col @ b_colᵀ,  lse_v(j) = logsumexp_i v_ij

``a_row, b_row, a_col, b_col`` come from four independent draws of the augmentation, each
un-warped back to the frame's own grid, so that token ``i`` means the same place in both draws.

Source: "Feature map inverse consistency", https://github.com/uncbiag/FeatureMapICON.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch.nn import functional

from vos.errors import UsageError

INITIAL_RADIUS = 12.0
DENSE_UP_TO = 128 * 128  # scores a sample; more are made tile by tile


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
        """Features of any length -> features of length ``radius``, of the same shape."""
        return functional.normalize(features, dim=self.dim) * self.radius


def tokens(feature_map: Tensor) -> Tensor:
    """A feature map ``(B, C, h, w)`` as tokens ``(B, h*w, C)``, row by row."""
    return feature_map.flatten(2).transpose(1, 2)


def inverse_consistency_dense(
    a_row: Tensor,
    b_row: Tensor,
    a_col: Tensor,
    b_col: Tensor,
    *,
    a_valid: Tensor | None = None,
    b_valid: Tensor | None = None,
) -> Tensor:
    """Log-probability that each token of A returns to itself; the plain reference.

    Holds several matrices of ``B * N * M`` numbers: for small maps and for tests.

    Args:
        a_row, a_col: features of frame A under two draws, ``(B, N, C)``.
        b_row, b_col: features of frame B under two draws, ``(B, M, C)``.
        a_valid: ``(B, N)`` bool, False for tokens of A to leave out (outside the frame in
            either draw). They are neither starts nor places to return to.
        b_valid: ``(B, M)`` bool, False for tokens of B that are no place to go to.

    Returns:
        ``(B, N)`` log-probabilities, float32 or float64, at most 0; exactly 0, without gradient,
        for tokens left out, and for all tokens of a sample where B has no valid token.

    Raises:
        UsageError: shapes that do not fit.
    """
    check_shapes(a_row, b_row, a_col, b_col, a_valid, b_valid)
    a_row, b_row, a_col, b_col = full_precision(a_row, b_row, a_col, b_col)
    with torch.autocast(a_row.device.type, enabled=False):
        h = a_row @ b_row.transpose(1, 2)  # (B, N, M)
        v = a_col @ b_col.transpose(1, 2)  # (B, N, M)
    # A finite stand-in for -inf: sums of two stay finite, so no gradient becomes nan.
    nowhere = torch.finfo(h.dtype).min / 4
    if b_valid is not None:
        h = h.masked_fill(~b_valid[:, None, :], nowhere)
    if a_valid is not None:
        v = v.masked_fill(~a_valid[:, :, None], nowhere)
    there = h - h.logsumexp(2, keepdim=True)
    back = v - v.logsumexp(1, keepdim=True)
    log_p = (there + back).logsumexp(2)
    counted = counted_tokens(a_valid, b_valid)
    return log_p if counted is None else log_p.where(counted, log_p.new_zeros(()))


def inverse_consistency(
    a_row: Tensor,
    b_row: Tensor,
    a_col: Tensor,
    b_col: Tensor,
    *,
    a_valid: Tensor | None = None,
    b_valid: Tensor | None = None,
) -> Tensor:
    """Log-probability that each token of A returns to itself, in linear memory where it matters.

    Same arguments, result and errors as `inverse_consistency_dense`; chooses the
    implementation for the device and the size. Features of 16 bits are accumulated in float32.
    """
    check_shapes(a_row, b_row, a_col, b_col, a_valid, b_valid)
    implementation = _implementation(a_row, b_row)
    return implementation(a_row, b_row, a_col, b_col, a_valid=a_valid, b_valid=b_valid)


def _implementation(a: Tensor, b: Tensor) -> Callable[..., Tensor]:
    if a.shape[1] * b.shape[1] <= DENSE_UP_TO:
        return inverse_consistency_dense
    if a.device.type == "cpu":
        from vos.objectives.icon_tiled import inverse_consistency_tiled

        return inverse_consistency_tiled
    if a.device.type == "cuda" and a.dtype is not torch.float64 and find_spec("triton"):
        from vos.objectives.icon_triton import MOST_CHANNELS, inverse_consistency_triton

        if a.shape[2] <= MOST_CHANNELS:
            return inverse_consistency_triton
    return inverse_consistency_dense


def inverse_consistency_loss(
    a_row: Tensor,
    b_row: Tensor,
    a_col: Tensor,
    b_col: Tensor,
    *,
    a_valid: Tensor | None = None,
    b_valid: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Minus the mean of `inverse_consistency` over the tokens that count: a scalar >= 0.

    Args:
        a_row, b_row, a_col, b_col, a_valid, b_valid: see `inverse_consistency_dense`.
        weights: ``(B, N)`` non-negative weights of the tokens of A, default all 1.

    >>> features = 12 * torch.eye(5)[None]  # five tokens nobody can confuse
    >>> float(inverse_consistency_loss(features, features, features, features))
    0.0
    """
    log_p = inverse_consistency(a_row, b_row, a_col, b_col, a_valid=a_valid, b_valid=b_valid)
    counted = counted_tokens(a_valid, b_valid)
    if weights is None:
        weights = torch.ones_like(log_p)
    if counted is not None:
        weights = weights * counted
    return -(weights * log_p).sum() / weights.sum().clamp_min(torch.finfo(log_p.dtype).tiny)


@torch.no_grad()
def cycle_accuracy(
    a_row: Tensor,
    b_row: Tensor,
    a_col: Tensor,
    b_col: Tensor,
    *,
    grid: tuple[int, int],
    distance: float = 0.0,
    a_valid: Tensor | None = None,
    b_valid: Tensor | None = None,
    starts: int = 256,
) -> Tensor:
    """Share of tokens that come back to within ``distance`` tokens by nearest neighbours.

    A cheap stand-in for "the most probable end of the round trip": each start goes to its most
    probable token of B and from there to the most probable token of A. ``starts`` tokens,
    evenly spread, are tried, so the cost is linear in the number of tokens.

    Args:
        a_row, b_row, a_col, b_col, a_valid, b_valid: see `inverse_consistency_dense`.
        grid: height and width of frame A in tokens, ``N = height * width``.
        distance: Euclidean distance in tokens that still counts as back home.

    Returns:
        a scalar in [0, 1] (0 when no token is valid).
    """
    check_shapes(a_row, b_row, a_col, b_col, a_valid, b_valid)
    count = a_row.shape[1]
    if grid[0] * grid[1] != count:
        raise UsageError(f"grid {grid[0]} x {grid[1]} does not hold {count} tokens of frame A")
    start = torch.linspace(0, count - 1, min(starts, count), device=a_row.device).round().long()
    h = a_row[:, start] @ b_row.transpose(1, 2)  # (B, starts, M)
    if b_valid is not None:
        h = h.masked_fill(~b_valid[:, None, :], -torch.inf)
    there = h.argmax(2)  # (B, starts)
    arrived = b_col.gather(1, there[:, :, None].expand(-1, -1, b_col.shape[2]))
    v = arrived @ a_col.transpose(1, 2)  # (B, starts, N)
    if a_valid is not None:
        v = v.masked_fill(~a_valid[:, None, :], -torch.inf)
    end = v.argmax(2)
    dy = end // grid[1] - start // grid[1]
    dx = end % grid[1] - start % grid[1]
    back = (dy**2 + dx**2) <= distance**2
    counted = counted_tokens(a_valid, b_valid)
    if counted is None:
        return back.float().mean()
    counted = counted.expand(-1, count)[:, start]
    return (back & counted).sum() / counted.sum().clamp_min(1)


def counted_tokens(a_valid: Tensor | None, b_valid: Tensor | None) -> Tensor | None:
    """Tokens of A that have a round trip at all, ``(B, N)`` or ``(B, 1)`` bool; None for all."""
    if b_valid is None:
        return a_valid
    anywhere = b_valid.any(1, keepdim=True)
    return anywhere if a_valid is None else a_valid & anywhere


def full_precision(*features: Tensor) -> list[Tensor]:
    """Features of 16 bits as float32, others as they are."""
    return [x.float() if x.element_size() < 4 else x for x in features]


def check_shapes(
    a_row: Tensor,
    b_row: Tensor,
    a_col: Tensor,
    b_col: Tensor,
    a_valid: Tensor | None,
    b_valid: Tensor | None,
) -> None:
    """Raise UsageError unless the four feature sets and the two masks fit one another."""
    shapes = (
        f"{tuple(a_row.shape)}, {tuple(b_row.shape)}, {tuple(a_col.shape)}, {tuple(b_col.shape)}"
    )
    if (
        a_row.ndim != 3
        or b_row.ndim != 3
        or a_row.shape != a_col.shape
        or b_row.shape != b_col.shape
        or a_row.shape[::2] != b_row.shape[::2]
    ):
        raise UsageError(f"features must be (B, N, C), (B, M, C), (B, N, C), (B, M, C): {shapes}")
    if 0 in a_row.shape or 0 in b_row.shape:
        raise UsageError(f"no tokens or channels to compare: {shapes}")
    for name, valid, features in (("a_valid", a_valid, a_row), ("b_valid", b_valid, b_row)):
        if valid is not None and (
            valid.shape != features.shape[:2] or valid.dtype is not torch.bool
        ):
            raise UsageError(
                f"{name} must be bool {tuple(features.shape[:2])}: "
                f"{valid.dtype} {tuple(valid.shape)}"
            )
