"""All eight round trips that the four draws of a pair allow, from four products of whole matrices.

Tokens of A are described twice, under draws 1 and 2, and so are those of B. A trip goes there by
one draw of either frame and comes back by the other two, from A or from B: eight ways, of which
`vos.objectives.icon_dense` computes one with two products. They share what they need. With
``s_xy = a_x @ b_yᵀ`` for the four choices of draws x of A and y of B, and x', y' the other draws,

    there_xy = s_xy - logsumexp_j s_xy        log-probability of A -> B
    back_xy  = s_xy - logsumexp_i s_xy        log-probability of B -> A
    both_xy  = there_xy + back_x'y'
    logsumexp_j both_xy: A -> B by x, y and back by x', y'
    logsumexp_i both_xy: B -> A by x', y' and back by x, y

so that 12 products, forward and backward, stand for 64, and a third of the exponentials.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vos.objectives.icon_dense import RoundTrip, add_floor, check_floor, full_precision

LEAST = -60.0  # e^LEAST counts as much as nothing, and its products are no denormal numbers
OTHER = (3, 2, 1, 0)  # the choices of draws are 11, 12, 21, 22: the place of x'y' for each xy


def all_ways_dense(trip: RoundTrip, *, floor: float = 0.0) -> Tensor:
    """Return what `all_ways_loss` does, from whole matrices; same arguments.

    Holds some twenty matrices of ``N * M`` numbers of one sample, and four of each other one until
    the gradient is taken. Differentiable once.

    Raises:
        UsageError: shapes that do not fit, or a floor that is no number from 0 to 1.
    """
    trip.check()
    check_floor(floor)
    features = full_precision(trip.a_row, trip.a_col, trip.b_row, trip.b_col)
    losses = []
    for number, (a_one, a_two, b_one, b_two) in enumerate(zip(*features, strict=True)):
        a = torch.stack([a_one, a_two])
        b = torch.stack([b_one, b_two])
        a = a if trip.a_valid is None else a[:, trip.a_valid[number]]
        b = b if trip.b_valid is None else b[:, trip.b_valid[number]]
        if 0 in a.shape or 0 in b.shape:
            losses.append(a.sum() * 0)
            continue
        from_a, from_b = _AllWays.apply(a, b)
        losses.append(-(add_floor(from_a, floor).mean() + add_floor(from_b, floor).mean()) / 2)
    return torch.stack(losses).mean()


class _AllWays(torch.autograd.Function):
    """(2, N, C), (2, M, C) -> (4, N), (4, M): log-probabilities of return from A and from B."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        scores = (a[:, None] @ b[None].transpose(-1, -2)).flatten(0, 1)  # (4, N, M)
        of_row = scores.logsumexp(2, keepdim=True)
        of_column = scores.logsumexp(1, keepdim=True)
        both = _both(scores, of_row, of_column)
        from_a, from_b = both.logsumexp(2), both.logsumexp(1)
        ctx.save_for_backward(a, b, scores, of_row, of_column, from_a, from_b)
        return from_a, from_b

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_a: Tensor, grad_b: Tensor) -> tuple[Tensor, Tensor]:
        a, b, scores, of_row, of_column, from_a, from_b = ctx.saved_tensors
        both = _both(scores, of_row, of_column)
        slope = _exp(both - from_a[:, :, None]).mul_(grad_a[:, :, None])
        slope += _exp(both.sub_(from_b[:, None])).mul_(grad_b[:, None])
        other = slope[list(OTHER)]
        wanted = slope + other
        wanted -= _exp(scores - of_row).mul_(slope.sum(2, keepdim=True))
        wanted -= _exp(scores - of_column).mul_(other.sum(1, keepdim=True))
        wanted = wanted.unflatten(0, (2, 2))  # draws of A, draws of B
        return (wanted @ b[None]).sum(1), (wanted.transpose(-1, -2) @ a[:, None]).sum(0)


def _both(scores: Tensor, of_row: Tensor, of_column: Tensor) -> Tensor:
    """Return the log-probabilities of going there by x, y and back by x', y': (4, N, M)."""
    back = scores - of_column
    return (scores - of_row).add_(back[list(OTHER)])


def _exp(exponents: Tensor) -> Tensor:
    """Return the exponentials, in place."""
    return exponents.clamp_min_(LEAST).exp_()
