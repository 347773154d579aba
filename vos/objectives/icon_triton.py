"""Inverse consistency in memory linear in the number of tokens, on CUDA devices (Triton).

Scores are made block by block and never kept. Forward: log-sums of ``v`` (one product), then of
``h`` and of ``u = h + v - lse_v`` (two). Backward, by tokens of B and then of A, each block
belonging to one program, so that no sum depends on the order in which programs run.

Products of 32-bit features are computed in full float32, or, where
``torch.set_float32_matmul_precision`` is not "highest", by three products of tf32, nearly as exact
and faster. Those of 16-bit features use tf32, which holds such features exactly, and accumulate
in float32; what their gradients are made from it does not hold, so that takes three products, too.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from vos.objectives.icon_dense import RoundTrip, floored

MOST_CHANNELS = 256  # blocks of features of more would not fit on the chip
_ROOMY = 98 * 1024  # bytes that a block of threads may have; older cards give it 64 KiB

LOWEST = tl.constexpr(-1e30)  # a score nobody has; finite, so that differences stay finite


def inverse_consistency_triton(trip: RoundTrip, *, floor: float = 0.0) -> Tensor:
    """Return what `inverse_consistency_dense` does in linear memory, on a CUDA device.

    Features of float32, float16 or bfloat16 with up to ``MOST_CHANNELS`` channels.
    Differentiable once.
    """
    dtype = torch.promote_types(trip.a_row.dtype, trip.b_row.dtype)
    features = [x.to(dtype).contiguous() for x in trip.features()]
    masks = [
        torch.ones(x.shape[:2], dtype=torch.uint8, device=x.device)
        if valid is None
        else valid.expand(x.shape[:2]).to(torch.uint8).contiguous()
        for valid, x in ((trip.counted(), trip.a_row), (trip.b_valid, trip.b_row))
    ]
    return floored(_Triton.apply(*features, *masks), trip, floor)


class _Triton(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        a_row: Tensor,
        b_row: Tensor,
        a_col: Tensor,
        b_col: Tensor,
        a_valid: Tensor,
        b_valid: Tensor,
    ) -> Tensor:
        batch, n, channels = a_row.shape
        m = b_row.shape[1]
        sums_a = a_row.new_empty((batch, 4, n), dtype=torch.float32)
        sums_b = a_row.new_empty((batch, 2, m), dtype=torch.float32)
        log_p = a_row.new_empty((batch, n), dtype=torch.float32)
        blocks = _blocks(a_row)
        with _on(a_row):
            _sums_of_b[_grid(m, batch, blocks)](
                a_col, b_col, a_valid, sums_b, n, m, channels, **blocks
            )
            _sums_of_a[_grid(n, batch, blocks)](
                a_row, b_row, a_col, b_col, a_valid, b_valid, sums_b, sums_a, log_p,
                n, m, channels, **blocks,
            )  # fmt: skip
        ctx.save_for_backward(a_row, b_row, a_col, b_col, a_valid, b_valid, sums_a, sums_b)
        return log_p

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        a_row, b_row, a_col, b_col, a_valid, b_valid, sums_a, sums_b = ctx.saved_tensors
        batch, n, channels = a_row.shape
        m = b_row.shape[1]
        grad = (grad.float() * a_valid).contiguous()
        column_sum = sums_b.new_empty((batch, m))
        grads = [torch.empty_like(x) for x in (a_row, b_row, a_col, b_col)]
        known = (a_row, b_row, a_col, b_col, a_valid, b_valid, sums_a, sums_b, grad, column_sum)
        blocks = _blocks(a_row)
        with _on(a_row):
            _gradients_of_b[_grid(m, batch, blocks)](
                *known, grads[1], grads[3], n, m, channels, **blocks
            )
            _gradients_of_a[_grid(n, batch, blocks)](
                *known, grads[0], grads[2], n, m, channels, **blocks
            )
        return *grads, None, None


def most_channels(device: torch.device) -> int:
    """Return how many channels features may have for their blocks to fit on the chip."""
    return MOST_CHANNELS if _is_roomy(device) else MOST_CHANNELS // 2


def _is_roomy(device: torch.device) -> bool:
    if device.type != "cuda":  # in the interpreter
        return True
    properties = torch.cuda.get_device_properties(device)
    return getattr(properties, "shared_memory_per_block_optin", _ROOMY) >= _ROOMY


def _blocks(features: Tensor) -> dict[str, Any]:
    """Sizes that fit the 99 KiB a block of threads has on consumer cards, or 64 KiB."""
    channels = max(16, triton.next_power_of_2(features.shape[2]))
    if features.dtype is torch.float32:
        size = 32 if channels <= 128 else 16
        exact = torch.get_float32_matmul_precision() == "highest"
        precision = "ieee" if exact else "tf32x3"
    else:
        size = 64 if channels <= 64 else 32 if channels <= 128 else 16
        precision = "tf32"
    return {
        "BLOCK": size if _is_roomy(features.device) else max(16, size // 2),
        "CHANNELS": channels,
        "PRECISION": precision,
        "num_warps": 4,
        "num_stages": 1,
    }


def _grid(count: int, batch: int, blocks: dict[str, Any]) -> tuple[int, int]:
    return triton.cdiv(count, blocks["BLOCK"]), batch


def _on(features: Tensor) -> Any:
    """Launch on the device of the features (they may be on the processor in the interpreter)."""
    return torch.cuda.device_of(features)


@triton.jit
def _load(features, batch, index, count, channels, CHANNELS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Features ``(BLOCK, CHANNELS)`` of tokens ``index``, 0 beyond the last."""
    channel = tl.arange(0, CHANNELS)
    offset = (batch * count + index[:, None]).to(tl.int64) * channels + channel[None, :]
    inside = (index[:, None] < count) & (channel[None, :] < channels)
    return tl.load(features + offset, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def _store(features, value, batch, index, count, channels, CHANNELS: tl.constexpr):  # type: ignore[no-untyped-def]
    channel = tl.arange(0, CHANNELS)
    offset = (batch * count + index[:, None]).to(tl.int64) * channels + channel[None, :]
    inside = (index[:, None] < count) & (channel[None, :] < channels)
    tl.store(features + offset, value.to(features.dtype.element_ty), mask=inside)


@triton.jit
def _valid(valid, batch, index, count):  # type: ignore[no-untyped-def]
    return tl.load(valid + batch * count + index, mask=index < count, other=0) != 0


@triton.jit
def _scores(x, y, PRECISION: tl.constexpr):  # type: ignore[no-untyped-def]
    return tl.dot(x, tl.trans(y), input_precision=PRECISION)


@triton.jit
def _sums_of_b(  # type: ignore[no-untyped-def]
    a_col, b_col, a_valid, sums_b,
    n, m, channels, BLOCK: tl.constexpr, CHANNELS: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Log-sums of v over the tokens of A: ``(peak, total)`` of a block of tokens of B."""
    batch = tl.program_id(1)
    j = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    y = _load(b_col, batch, j, m, channels, CHANNELS)
    peak = tl.full((BLOCK,), LOWEST, tl.float32)
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, n, BLOCK):
        i = start + tl.arange(0, BLOCK)
        v = _scores(_load(a_col, batch, i, n, channels, CHANNELS), y, PRECISION)
        v = tl.where(_valid(a_valid, batch, i, n)[:, None], v, LOWEST)
        new_peak = tl.maximum(peak, tl.max(v, 0))
        total = total * tl.exp(peak - new_peak) + tl.sum(tl.exp(v - new_peak[None, :]), 0)
        peak = new_peak
    place = sums_b + batch * 2 * m + j
    tl.store(place, peak, mask=j < m)
    tl.store(place + m, total, mask=j < m)


@triton.jit
def _sums_of_a(  # type: ignore[no-untyped-def]
    a_row, b_row, a_col, b_col, a_valid, b_valid, sums_b, sums_a, log_p,
    n, m, channels, BLOCK: tl.constexpr, CHANNELS: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Log-sums of h and of u over the tokens of B, and log P, of a block of tokens of A."""
    batch = tl.program_id(1)
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x_row = _load(a_row, batch, i, n, channels, CHANNELS)
    x_col = _load(a_col, batch, i, n, channels, CHANNELS)
    here = _valid(a_valid, batch, i, n)
    peak_h = tl.full((BLOCK,), LOWEST, tl.float32)
    peak_u = tl.full((BLOCK,), 2 * LOWEST, tl.float32)
    total_h = tl.zeros((BLOCK,), tl.float32)
    total_u = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, m, BLOCK):
        j = start + tl.arange(0, BLOCK)
        h, u, _back = _block(
            x_row, _load(b_row, batch, j, m, channels, CHANNELS),
            x_col, _load(b_col, batch, j, m, channels, CHANNELS),
            here, _valid(b_valid, batch, j, m), sums_b, batch, j, m, PRECISION,
        )  # fmt: skip
        new_h = tl.maximum(peak_h, tl.max(h, 1))
        new_u = tl.maximum(peak_u, tl.max(u, 1))
        total_h = total_h * tl.exp(peak_h - new_h) + tl.sum(tl.exp(h - new_h[:, None]), 1)
        total_u = total_u * tl.exp(peak_u - new_u) + tl.sum(tl.exp(u - new_u[:, None]), 1)
        peak_h, peak_u = new_h, new_u
    place = sums_a + batch * 4 * n + i
    tl.store(place, peak_h, mask=i < n)
    tl.store(place + n, total_h, mask=i < n)
    tl.store(place + 2 * n, peak_u, mask=i < n)
    tl.store(place + 3 * n, total_u, mask=i < n)
    found = peak_u - peak_h + tl.log(total_u / total_h)
    tl.store(log_p + batch * n + i, tl.where(here, found, 0.0), mask=i < n)


@triton.jit
def _block(  # type: ignore[no-untyped-def]
    x_row, y_row, x_col, y_col, here, there, sums_b, batch, j, m, PRECISION: tl.constexpr
):
    """Scores ``h`` and ``u = h + v - lse_v``, and ``v - peak_v``, of a block ``(I, J)``."""
    peak_v = tl.load(sums_b + batch * 2 * m + j, mask=j < m, other=0.0)
    total_v = tl.load(sums_b + batch * 2 * m + m + j, mask=j < m, other=1.0)
    h = tl.where(there[None, :], _scores(x_row, y_row, PRECISION), LOWEST)
    v = tl.where(here[:, None], _scores(x_col, y_col, PRECISION), LOWEST)
    back = v - peak_v[None, :]
    return h, h + (back - tl.log(total_v)[None, :]), back


@triton.jit
def _slopes(  # type: ignore[no-untyped-def]
    x_row, y_row, x_col, y_col, here, there, sums_a, sums_b, batch, i, n, j, m,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Posterior ``w`` of the token on the way, ``w - p`` and ``q`` of a block ``(I, J)``."""
    h, u, back = _block(x_row, y_row, x_col, y_col, here, there, sums_b, batch, j, m, PRECISION)
    place = sums_a + batch * 4 * n + i
    peak_h = tl.load(place, mask=i < n, other=0.0)
    total_h = tl.load(place + n, mask=i < n, other=1.0)
    peak_u = tl.load(place + 2 * n, mask=i < n, other=0.0)
    total_u = tl.load(place + 3 * n, mask=i < n, other=1.0)
    total_v = tl.load(sums_b + batch * 2 * m + m + j, mask=j < m, other=1.0)
    # The minimum is 0 for all tokens that count; others could overflow.
    w = tl.exp(tl.minimum(u - peak_u[:, None], 0.0)) / total_u[:, None]
    p = tl.exp(tl.minimum(h - peak_h[:, None], 0.0)) / total_h[:, None]
    q = tl.exp(tl.minimum(back, 0.0)) / total_v[None, :]
    return w, w - p, q


@triton.jit
def _gradients_of_b(  # type: ignore[no-untyped-def]
    a_row, b_row, a_col, b_col, a_valid, b_valid, sums_a, sums_b, grad, column_sum,
    b_row_grad, b_col_grad, n, m, channels, BLOCK: tl.constexpr, CHANNELS: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Gradients of a block of tokens of B, and ``column_sum_j = sum_i grad_i w_ij``."""
    SLOPES: tl.constexpr = "tf32x3" if PRECISION == "tf32" else PRECISION
    batch = tl.program_id(1)
    j = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    y_row = _load(b_row, batch, j, m, channels, CHANNELS)
    y_col = _load(b_col, batch, j, m, channels, CHANNELS)
    there = _valid(b_valid, batch, j, m)
    of_row = tl.zeros((BLOCK, CHANNELS), tl.float32)
    of_col = tl.zeros((BLOCK, CHANNELS), tl.float32)
    mean = tl.zeros((BLOCK, CHANNELS), tl.float32)
    found = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, n, BLOCK):
        i = start + tl.arange(0, BLOCK)
        x_row = _load(a_row, batch, i, n, channels, CHANNELS)
        x_col = _load(a_col, batch, i, n, channels, CHANNELS)
        here = _valid(a_valid, batch, i, n)
        w, slope, q = _slopes(
            x_row, y_row, x_col, y_col, here, there, sums_a, sums_b, batch, i, n, j, m, PRECISION
        )
        g = tl.load(grad + batch * n + i, mask=i < n, other=0.0)[:, None]
        of_row += tl.dot(tl.trans(g * slope), x_row, input_precision=SLOPES)
        of_col += tl.dot(tl.trans(g * w), x_col, input_precision=SLOPES)
        mean += tl.dot(tl.trans(q), x_col, input_precision=SLOPES)
        found += tl.sum(g * w, 0)
    _store(b_row_grad, of_row, batch, j, m, channels, CHANNELS)
    _store(b_col_grad, of_col - found[:, None] * mean, batch, j, m, channels, CHANNELS)
    tl.store(column_sum + batch * m + j, found, mask=j < m)


@triton.jit
def _gradients_of_a(  # type: ignore[no-untyped-def]
    a_row, b_row, a_col, b_col, a_valid, b_valid, sums_a, sums_b, grad, column_sum,
    a_row_grad, a_col_grad, n, m, channels, BLOCK: tl.constexpr, CHANNELS: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Gradients of a block of tokens of A."""
    SLOPES: tl.constexpr = "tf32x3" if PRECISION == "tf32" else PRECISION
    batch = tl.program_id(1)
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x_row = _load(a_row, batch, i, n, channels, CHANNELS)
    x_col = _load(a_col, batch, i, n, channels, CHANNELS)
    here = _valid(a_valid, batch, i, n)
    g = tl.load(grad + batch * n + i, mask=i < n, other=0.0)[:, None]
    of_row = tl.zeros((BLOCK, CHANNELS), tl.float32)
    of_col = tl.zeros((BLOCK, CHANNELS), tl.float32)
    for start in range(0, m, BLOCK):
        j = start + tl.arange(0, BLOCK)
        y_row = _load(b_row, batch, j, m, channels, CHANNELS)
        y_col = _load(b_col, batch, j, m, channels, CHANNELS)
        there = _valid(b_valid, batch, j, m)
        w, slope, q = _slopes(
            x_row, y_row, x_col, y_col, here, there, sums_a, sums_b, batch, i, n, j, m, PRECISION
        )
        s = tl.load(column_sum + batch * m + j, mask=j < m, other=0.0)[None, :]
        of_row += tl.dot(g * slope, y_row, input_precision=SLOPES)
        of_col += tl.dot(g * w - s * q, y_col, input_precision=SLOPES)
    _store(a_row_grad, of_row, batch, i, n, channels, CHANNELS)
    _store(a_col_grad, of_col, batch, i, n, channels, CHANNELS)
