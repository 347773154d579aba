"""The round trip of ICON, its formula with whole matrices, and the checks all forms share.

Token ``i`` of frame A goes to token ``j`` of frame B with probability ``softmax_j(h_ij)`` and
from there to token ``k`` of frame A with probability ``softmax_k(v_kj)``. The probability of
ending where one began is, in log space:

    log P_i = logsumexp_j(h_ij + v_ij - lse_h(i) - lse_v(j))
    h = a_row @ b_rowᵀ,  lse_h(i) = logsumexp_j h_ij
    v = a_col @ b_colᵀ,  lse_v(j) = logsumexp_i v_ij
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from vos.errors import UsageError


class RoundTrip(NamedTuple):
    """Features of the tokens of two frames, for the way there and for the way back.

    The four sets come from independent draws of the augmentation, each un-warped back to the
    frame's own grid, so that token ``i`` means the same place in both draws of a frame.

    Attributes:
        a_row, a_col: features of frame A under two draws, ``(B, N, C)``.
        b_row, b_col: features of frame B under two draws, ``(B, M, C)``.
        a_valid: ``(B, N)`` bool, False for tokens of A to leave out (outside the frame in
            either draw): they are neither starts nor places to return to. None keeps all.
        b_valid: ``(B, M)`` bool, False for tokens of B that are no place to go to.
    """

    a_row: Tensor
    b_row: Tensor
    a_col: Tensor
    b_col: Tensor
    a_valid: Tensor | None = None
    b_valid: Tensor | None = None

    def features(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the four sets of features without the masks."""
        return self[:4]

    def counted(self) -> Tensor | None:
        """Return which tokens of A have a round trip: ``(B, N)`` or ``(B, 1)`` bool, None for all.

        A token of A has none where it is left out, or where B has no valid token at all.
        """
        if self.b_valid is None:
            return self.a_valid
        anywhere = self.b_valid.any(1, keepdim=True)
        return anywhere if self.a_valid is None else self.a_valid & anywhere

    def reversed(self) -> RoundTrip:
        """Return the trip that begins in B: B to A and back."""
        return RoundTrip(self.b_row, self.a_row, self.b_col, self.a_col, self.b_valid, self.a_valid)

    def check(self) -> None:
        """Raise UsageError unless features and masks fit one another."""
        shapes = ", ".join(str(tuple(each.shape)) for each in self.features())
        a_row, b_row, a_col, b_col = self.features()
        if (
            a_row.ndim != 3
            or b_row.ndim != 3
            or a_row.shape != a_col.shape
            or b_row.shape != b_col.shape
            or a_row.shape[::2] != b_row.shape[::2]
        ):
            raise UsageError(
                f"features must be (B, N, C), (B, M, C), (B, N, C), (B, M, C): {shapes}"
            )
        if 0 in a_row.shape or 0 in b_row.shape:
            raise UsageError(f"no tokens or channels to compare: {shapes}")
        for name, valid, features in (
            ("a_valid", self.a_valid, a_row),
            ("b_valid", self.b_valid, b_row),
        ):
            if valid is not None and (
                valid.shape != features.shape[:2] or valid.dtype is not torch.bool
            ):
                raise UsageError(
                    f"{name} must be bool {tuple(features.shape[:2])}: "
                    f"{valid.dtype} {tuple(valid.shape)}"
                )


def inverse_consistency_dense(trip: RoundTrip, *, floor: float = 0.0) -> Tensor:
    """Return the log-probability that each token of A returns to itself; the plain reference.

    Holds several matrices of ``B * N * M`` numbers: for small maps and for tests.

    Args:
        trip: features and masks.
        floor: added to the probability, ``log(floor + P)``: a robust loss, in which tokens
            without hope of return have no say. 0 is the formula of the text, 1e-4 the one of the
            published code.

    Returns:
        ``(B, N)`` log-probabilities, float32 or float64, at most ``log(1 + floor)``; exactly 0,
        without gradient, for tokens left out, and for all tokens of a sample where B has no valid
        token.

    Raises:
        UsageError: shapes that do not fit, or a floor that is no number from 0 to 1.
    """
    trip.check()
    a_row, b_row, a_col, b_col = full_precision(*trip.features())
    with torch.autocast(a_row.device.type, enabled=False):
        h = a_row @ b_row.transpose(1, 2)  # (B, N, M)
        v = a_col @ b_col.transpose(1, 2)  # (B, N, M)
    # A finite stand-in for -inf: sums of two stay finite, so no gradient becomes nan.
    nowhere = torch.finfo(h.dtype).min / 4
    if trip.b_valid is not None:
        h = h.masked_fill(~trip.b_valid[:, None, :], nowhere)
    if trip.a_valid is not None:
        v = v.masked_fill(~trip.a_valid[:, :, None], nowhere)
    there = h - h.logsumexp(2, keepdim=True)
    back = v - v.logsumexp(1, keepdim=True)
    return floored((there + back).logsumexp(2), trip, floor)


def floored(log_p: Tensor, trip: RoundTrip, floor: float) -> Tensor:
    """Return ``log(floor + P)`` of the tokens that count, 0 without gradient of all others.

    Raises:
        UsageError: a floor that is no number from 0 to 1.
    """
    check_floor(floor)
    log_p = add_floor(log_p, floor)
    counted = trip.counted()
    return log_p if counted is None else log_p.where(counted, log_p.new_zeros(()))


def check_floor(floor: float) -> None:
    """Raise UsageError unless ``floor`` is a number from 0 to 1."""
    if not 0 <= floor <= 1:
        raise UsageError(f"the floor of a probability must be between 0 and 1, not {floor}")


def add_floor(log_p: Tensor, floor: float) -> Tensor:
    """Return ``log(floor + P)`` of ``log P``."""
    return torch.logaddexp(log_p, log_p.new_tensor(math.log(floor))) if floor else log_p


def full_precision(*features: Tensor) -> list[Tensor]:
    """Return features of 16 bits as float32, others as they are."""
    return [x.float() if x.element_size() < 4 else x for x in features]
