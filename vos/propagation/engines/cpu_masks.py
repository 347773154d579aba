"""Soft labels to a mask on the CPU: `labels.labels_to_mask` without a plane an object.

Most tokens carry one or two labels, whatever the number of objects. So every cell of the token
grid (the square between four token centres, in which enlarged labels are bilinear) lists the
channels that are not zero at its corners, and each pixel compares those of its cell only. Cells
whose corners carry one and the same label are filled without looking at their pixels. The cost
hardly grows with the number of objects, and memory not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from vos.compiled import compiled
from vos.propagation.config import PropagationConfig
from vos.propagation.engines.bilinear_cells import bilinear_places, channels_of_cells, first_pixels
from vos.propagation.engines.threads import in_threads


def labels_to_mask(
    labels: Tensor,
    ids: Sequence[int],
    grid: tuple[int, int],
    size: tuple[int, int],
    seen_size: tuple[int, int],
    config: PropagationConfig,
) -> np.ndarray:
    """Return (H, W) uint8 ids; see `labels.labels_to_mask`."""
    table = np.array([0, *ids], np.uint8)
    values = labels.numpy()
    if config.grid_to_mask == "nearest":
        return table[_decide_nearest(values, grid, size, config.min_max)]
    if config.grid_to_mask == "bilinear-then-nearest":
        channels = _decide(values, grid, seen_size, corners=False, min_max=config.min_max)
        rows = _nearest_exact(seen_size[0], size[0])
        columns = _nearest_exact(seen_size[1], size[1])
        return table[channels[rows[:, None], columns]]
    corners = config.grid_to_mask == "bilinear-corners"
    return table[_decide(values, grid, size, corners=corners, min_max=config.min_max)]


def _decide(
    values: np.ndarray,
    grid: tuple[int, int],
    size: tuple[int, int],
    *,
    corners: bool,
    min_max: bool,
) -> np.ndarray:
    """Return (H, W) the winning channel of every pixel of the bilinearly enlarged labels."""
    rows = bilinear_places(grid[0], size[0], corners)
    columns = bilinear_places(grid[1], size[1], corners)
    edges = first_pixels(grid[1], size[1], corners)
    starts, channels = channels_of_cells(values, *grid)
    plain = _plain_cells(values, *grid, starts, channels)
    low = np.zeros(values.shape[1], np.float32)
    scale = np.ones(values.shape[1], np.float32)
    if min_max:
        low, scale = _stretching(values, grid, rows, columns, edges, starts, channels, plain)
    winners = np.empty(size, np.int16)

    def decide(worker: int, workers: int) -> None:
        places = (*grid, *rows, *columns, edges, starts, channels, plain)
        _pick(values, *places, low, scale, winners, worker, workers)  # type: ignore[call-arg]

    in_threads(decide)
    return winners


def _stretching(
    values: np.ndarray,
    grid: tuple[int, int],
    rows: tuple[np.ndarray, ...],
    columns: tuple[np.ndarray, ...],
    edges: np.ndarray,
    starts: np.ndarray,
    channels: np.ndarray,
    plain: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what to subtract from, and to multiply with, each channel to stretch it to [0, 1]."""
    results: list[Any] = []

    def measure(worker: int, workers: int) -> None:
        places = (*grid, *rows, *columns, edges, starts, channels, plain)
        results.append(_ranges(values, *places, worker, workers))  # type: ignore[call-arg]

    in_threads(measure)
    low = np.min([result[0] for result in results], axis=0)
    high = np.max([result[1] for result in results], axis=0)
    covered = np.sum([result[2] for result in results], axis=0)
    pixels = len(rows[0]) * len(columns[0])
    low = np.where(covered < pixels, np.minimum(low, 0), low).astype(np.float32)
    high = np.where(covered < pixels, np.maximum(high, 0), high).astype(np.float32)
    span = high - low
    scale = np.where(span > 0, 1 / np.maximum(span, np.finfo(np.float32).tiny), 0)
    return low, scale.astype(np.float32)


def _decide_nearest(
    values: np.ndarray, grid: tuple[int, int], size: tuple[int, int], min_max: bool
) -> np.ndarray:
    rows, columns = _nearest(grid[0], size[0]), _nearest(grid[1], size[1])
    plane = values.reshape(*grid, -1)
    if min_max:
        shown = plane[np.unique(rows)][:, np.unique(columns)]  # tokens that some pixel shows
        low, high = shown.min((0, 1)), shown.max((0, 1))
        plane = (plane - low) / np.maximum(high - low, np.finfo(np.float32).tiny)
    return plane.argmax(-1)[rows[:, None], columns]


@lru_cache(maxsize=32)
def _nearest(tokens: int, pixels: int) -> np.ndarray:
    return _resampled_index(tokens, pixels, "nearest")


@lru_cache(maxsize=32)
def _nearest_exact(tokens: int, pixels: int) -> np.ndarray:
    return _resampled_index(tokens, pixels, "nearest-exact")


def _resampled_index(tokens: int, pixels: int, mode: str) -> np.ndarray:
    index = torch.arange(tokens, dtype=torch.float32)[None, None]
    return functional.interpolate(index, pixels, mode=mode)[0, 0].long().numpy()


@compiled()
def _plain_cells(values, height, width, starts, channels):  # type: ignore[no-untyped-def]
    """(cells,) the only channel of a cell whose corners all have the same value of it, or -1."""
    plain = np.full(height * width, -1, np.int32)
    for y in range(height):
        below = min(y + 1, height - 1) * width
        for x in range(width):
            cell = y * width + x
            if starts[cell + 1] - starts[cell] != 1:
                continue
            channel = channels[starts[cell]]
            right = min(x + 1, width - 1)
            value = values[cell, channel]
            if (
                value == values[y * width + right, channel]
                and value == values[below + x, channel]
                and value == values[below + right, channel]
            ):
                plain[cell] = channel
    return plain


@compiled()
def _enlarged(values, channel, top, bottom, left, right, down, across):  # type: ignore[no-untyped-def]
    """Bilinear value between four tokens; rows start at ``top`` and ``bottom``."""
    one = np.float32(1)
    upper = values[top + left, channel] * (one - across) + values[top + right, channel] * across
    lower = (
        values[bottom + left, channel] * (one - across) + values[bottom + right, channel] * across
    )
    return upper * (one - down) + lower * down


@compiled()
def _ranges(  # type: ignore[no-untyped-def]
    values,
    height,
    width,
    y0,
    y1,
    ys,
    x0,
    x1,
    xs,
    edges,
    starts,
    channels,
    plain,
    worker,
    workers,
):
    """Smallest and largest enlarged value of each channel, and in how many pixels it is listed."""
    count = values.shape[1]
    low = np.full(count, np.inf, np.float32)
    high = np.full(count, -np.inf, np.float32)
    covered = np.zeros(count, np.int64)
    for row in range(worker, len(y0), workers):
        top, bottom, down = y0[row] * width, y1[row] * width, ys[row]
        for across_cell in range(width):
            first, last = edges[across_cell], edges[across_cell + 1]
            cell = top + across_cell
            if first == last:
                continue
            if plain[cell] >= 0:
                channel = plain[cell]
                value = values[cell, channel]
                low[channel] = min(low[channel], value)
                high[channel] = max(high[channel], value)
                covered[channel] += last - first
                continue
            for column in range(first, last):
                left, right, across = x0[column], x1[column], xs[column]
                for entry in range(starts[cell], starts[cell + 1]):
                    channel = channels[entry]
                    value = _enlarged(values, channel, top, bottom, left, right, down, across)
                    low[channel] = min(low[channel], value)
                    high[channel] = max(high[channel], value)
                    covered[channel] += 1
    return low, high, covered


@compiled()
def _pick(  # type: ignore[no-untyped-def]
    values,
    height,
    width,
    y0,
    y1,
    ys,
    x0,
    x1,
    xs,
    edges,
    starts,
    channels,
    plain,
    low,
    scale,
    winners,
    worker,
    workers,
):
    """Write the channel with the largest stretched value of every pixel; the first one on ties."""
    no_background = (np.float32(0) - low[0]) * scale[0]
    for row in range(worker, len(y0), workers):
        top, bottom, down = y0[row] * width, y1[row] * width, ys[row]
        for across_cell in range(width):
            first, last = edges[across_cell], edges[across_cell + 1]
            cell = top + across_cell
            if plain[cell] >= 0:
                channel = plain[cell]
                value = (values[cell, channel] - low[channel]) * scale[channel]
                wins = channel == 0 or value > no_background
                winners[row, first:last] = channel if wins else 0
                continue
            for column in range(first, last):
                left, right, across = x0[column], x1[column], xs[column]
                winner, best = 0, no_background
                for entry in range(starts[cell], starts[cell + 1]):
                    channel = channels[entry]
                    value = _enlarged(values, channel, top, bottom, left, right, down, across)
                    value = (value - low[channel]) * scale[channel]
                    if channel == 0:
                        best = value
                    elif value > best:
                        winner, best = channel, value
                winners[row, column] = winner
