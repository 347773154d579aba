"""Measure the rate of this machine's matrix product: what any method could reach."""

from __future__ import annotations

import time

import torch


def matrix_gflops(channels: int, device: str, seconds: float = 0.5) -> float:
    """Measure the best rate of ``(n, channels) @ (channels, n)`` into memory of its own."""
    side = 1024 if device == "cpu" else 8192
    x = torch.randn(side, channels, device=device)
    y = torch.randn(channels, side, device=device)
    out = torch.empty(side, side, device=device)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        torch.mm(x, y, out=out)
        if device != "cpu":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * side * side * channels / best / 1e9
