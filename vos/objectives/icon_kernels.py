"""Exponentials and sums over one tile of scores, for `icon_tiled`: compiled, one thread each.

A tile holds scores of some tokens of A (rows) against a strip of tokens of B (columns), float32
or float64. Scores and log-sums are in base 2, which saves a multiplication an exponential.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from vos.compiled import compiled

LOWEST = -1e30  # start of a running maximum: finite, so that differences stay finite


def exp2(x: Any) -> Any:
    """2^x in the precision of x, inside compiled functions only; never below 2^-115 (float32).

    The floor keeps denormal numbers away, which take a hundred times as long to compute with
    and are what makes the dense form slow; it is far too small to change a float32 sum.
    """
    raise NotImplementedError


@overload(exp2, inline="always")
def _exp2(x: Any) -> Any:
    if x == types.float32:

        def exp2_float32(x: Any) -> Any:
            # 2^x = 2^floor(x) * 2^fraction, the latter by a polynomial (relative error 8e-8)
            # and the former added to its exponent bits: eight numbers at a time with AVX2,
            # where a library's exponential would be called for each.
            y = max(x, np.float32(-115.0))
            whole = np.floor(y)
            f = y - whole
            p = np.float32(1.8775767e-3) * f + np.float32(8.9893403e-3)
            p = p * f + np.float32(5.5826318e-2)
            p = p * f + np.float32(2.4015362e-1)
            p = p * f + np.float32(6.9315307e-1)
            p = p * f + np.float32(9.9999993e-1)
            bits = np.float32(p).view(np.int32) + np.int32(np.int32(whole) << np.int32(23))
            return np.int32(bits).view(np.float32)

        return exp2_float32

    def exp2_float64(x: Any) -> Any:
        return 2.0 ** max(x, -1000.0)

    return exp2_float64


# Sums may be reordered, so that they use all lanes of the processor.
_in_any_order = compiled(fastmath=True, error_model="numpy")

# Additions keep their order. Both passes must round ``u = h + v - lse_v`` alike: gradients are
# small differences of what is made from it, and 1e-6 of another rounding is 1e-5 of a gradient.
_in_order = compiled(fastmath={"nnan", "ninf", "nsz", "contract"}, error_model="numpy")


@_in_any_order
def add_columns(scores, peak, new_peak, total):  # type: ignore[no-untyped-def]
    """Running log-sum of each column: total_j * 2^peak_j = sum_i 2^scores_ij.

    ``new_peak`` is the largest of ``peak`` and of the column of ``scores``.
    """
    rows, columns = scores.shape
    for j in range(columns):
        total[j] *= exp2(peak[j] - new_peak[j])
    for i in range(rows):
        for j in range(columns):
            total[j] += exp2(scores[i, j] - new_peak[j])


@_in_any_order
def add_rows(scores, peak, new_peak, total):  # type: ignore[no-untyped-def]
    """Running log-sum of each row, see `add_columns`."""
    rows, columns = scores.shape
    for i in range(rows):
        top = new_peak[i]
        found = total[i] * exp2(peak[i] - top)
        for j in range(columns):
            found += exp2(scores[i, j] - top)
        total[i] = found


@_in_order
def round_trips(h, v, peak_v, log_v):  # type: ignore[no-untyped-def]
    """Turn ``v`` into ``u = h + v - lse_v``, in place; ``lse_v = peak_v + log_v``."""
    rows, columns = h.shape
    for i in range(rows):
        for j in range(columns):
            v[i, j] = h[i, j] + ((v[i, j] - peak_v[j]) - log_v[j])


@_in_order
def slopes(h, v, w, peak_v, log_v, share_v, of_row, column_sum):  # type: ignore[no-untyped-def]
    """Turn scores into what the gradients are made of, in place.

    ``p = softmax of h over columns``, ``q = softmax of v over rows`` and the posterior of the
    token on the way, ``w = softmax of u over columns``: ``h`` becomes ``w - p``,
    ``v`` becomes ``q``, ``w`` becomes ``grad_i w``, whose sums over rows are added to
    ``column_sum``. ``of_row`` holds ``(peak_h, 1 / total_h, peak_u, 1 / total_u, grad)``.
    """
    rows, columns = h.shape
    for i in range(rows):
        peak_h, share_h = of_row[0, i], of_row[1, i]
        peak_u, share_u = of_row[2, i], of_row[3, i]
        grad = of_row[4, i]
        for j in range(columns):
            back = v[i, j] - peak_v[j]
            u = h[i, j] + (back - log_v[j])
            posterior = exp2(u - peak_u) * share_u
            h[i, j] = posterior - exp2(h[i, j] - peak_h) * share_h
            v[i, j] = exp2(back) * share_v[j]
            w[i, j] = grad * posterior
            column_sum[j] += grad * posterior


@_in_any_order
def finish_columns(w, q, column_sum):  # type: ignore[no-untyped-def]
    """Gradient by ``v``, into ``w``: ``grad_i w_ij - q_ij * column_sum_j``."""
    rows, columns = w.shape
    for i in range(rows):
        for j in range(columns):
            w[i, j] -= q[i, j] * column_sum[j]
