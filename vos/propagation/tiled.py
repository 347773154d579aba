"""The propagation step in plain PyTorch, by tiles: for devices without an engine of their own.

Tokens are taken in tiles of 8 x 8, and a tile meets only the union of its windows, many tiles in
one batched product. The k best are merged source by source, so that memory does not grow with the
number of sources. Runs wherever PyTorch does (MPS, and CUDA without Triton); the same sums as the
reference, in another order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from vos.propagation.config import PropagationConfig, WindowShape
from vos.propagation.context import Source
from vos.propagation.labels import labels_to_mask
from vos.propagation.window import half_widths

__all__ = ["labels_to_mask", "propagate_labels"]

TILE = 8  # tokens a side
NUMBERS_AT_ONCE = 2**23  # gathered keys and similarities of some tiles: 32 MiB
TOKENS_AT_ONCE = 512  # against an unrestricted source


def propagate_labels(
    query: Tensor, sources: Sequence[Source], grid: tuple[int, int], config: PropagationConfig
) -> Tensor:
    """Soft labels (N, K + 1) of a frame; see `reference.propagate_labels`."""
    best = _Best.empty(query, config.neighbours)
    windows = _windows(
        grid, config.window, config.radius, config.distance_penalty, str(query.device)
    )
    for number, source in enumerate(sources):
        search = (
            _in_windows(query, source, windows) if source.windowed else _anywhere(query, source)
        )
        for tokens, similarities, places in search:
            best.merge(tokens, similarities, places + number * len(query), source.count)
    labels = torch.cat([source.frame.labels for source in sources])  # (n N, K + 1)
    weights = torch.softmax(best.similarities / config.temperature, dim=1)
    return torch.einsum("qk,qkc->qc", weights, labels[best.places])


@dataclass(frozen=True)
class _Best:
    """The k best of each token so far: similarities (N, k), and places (N, k) over all sources."""

    similarities: Tensor
    places: Tensor

    @classmethod
    def empty(cls, query: Tensor, neighbours: int) -> _Best:
        similarities = query.new_full((len(query), neighbours), -torch.inf)
        return cls(similarities, torch.zeros_like(similarities, dtype=torch.long))

    def merge(self, tokens: Tensor, similarities: Tensor, places: Tensor, count: int) -> None:
        """Take in candidates (q, m) of ``tokens`` (q,), each of which counts ``count`` times."""
        neighbours = self.places.shape[1]
        similarities, order = similarities.topk(min(neighbours, similarities.shape[1]), dim=1)
        places = places.gather(1, order)
        times = min(count, neighbours)
        all_similarities = torch.cat([self.similarities[tokens], similarities.repeat(1, times)], 1)
        all_places = torch.cat([self.places[tokens], places.repeat(1, times)], 1)
        self.similarities[tokens], order = all_similarities.topk(neighbours, dim=1)
        self.places[tokens] = all_places.gather(1, order)


@dataclass(frozen=True)
class _Windows:
    """What each tile meets.

    Attributes:
        tokens: (T, 64) of each tile; those beyond the border are the nearest that are there.
        real: (T, 64) whether a token is there.
        union: (T, U) places of the union of its windows, clamped to the grid in the same way.
        bias: (64, U) what a similarity gains, -inf outside the window, wherever the tile is.
        beyond: (T, U) whether a place lies beyond the border.
    """

    tokens: Tensor
    real: Tensor
    union: Tensor
    bias: Tensor
    beyond: Tensor


@lru_cache(maxsize=4)
def _windows(
    grid: tuple[int, int], shape: WindowShape, radius: float, penalty: float, device: str
) -> _Windows:
    halves = torch.from_numpy(half_widths(shape, radius, grid)).long()
    reach_y, reach_x = len(halves) // 2, int(halves.max())
    inner = torch.arange(TILE)
    outer_y, outer_x = (
        torch.arange(-reach_y, TILE + reach_y),
        torch.arange(-reach_x, TILE + reach_x),
    )
    dy = (outer_y[None] - inner[:, None])[:, None, :, None]  # (8, 1, V, 1)
    dx = (outer_x[None] - inner[:, None])[None, :, None, :]  # (1, 8, 1, W)
    half = torch.where(dy.abs() <= reach_y, halves[(reach_y + dy).clamp(0, 2 * reach_y)], -1)
    distance2 = dy.square() + dx.square()
    bias = torch.where(dx.abs() <= half, -penalty * distance2.float(), -torch.inf)

    corners = torch.cartesian_prod(
        torch.arange(0, grid[0], TILE), torch.arange(0, grid[1], TILE)
    )  # (T, 2)
    tokens, off_tokens = _places(corners, inner, inner, grid)
    union, beyond = _places(corners, outer_y, outer_x, grid)
    bias = bias.reshape(TILE * TILE, -1)
    return _Windows(*(t.to(device) for t in (tokens, ~off_tokens, union, bias, beyond)))


def _places(
    corners: Tensor, rows: Tensor, columns: Tensor, grid: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Places of a patch at each corner, clamped to the grid, and which had to be: (T, n) each."""
    y = corners[:, 0, None, None] + rows[None, :, None]
    x = corners[:, 1, None, None] + columns[None, None, :]
    beyond = (y < 0) | (y >= grid[0]) | (x < 0) | (x >= grid[1])
    places = y.clamp(0, grid[0] - 1) * grid[1] + x.clamp(0, grid[1] - 1)
    return places.flatten(1), beyond.flatten(1)


Candidates = Iterator[tuple[Tensor, Tensor, Tensor]]


def _in_windows(query: Tensor, source: Source, windows: _Windows) -> Candidates:
    """Tokens (q,), similarities (q, U) and places (q, U) in a source, some tiles at a time."""
    size = windows.union.shape[1]
    at_once = max(1, NUMBERS_AT_ONCE // (size * (query.shape[1] + TILE * TILE)))
    for start in range(0, len(windows.tokens), at_once):
        part = slice(start, start + at_once)
        union = windows.union[part]
        keys = source.frame.features[union]  # (t, U, C)
        similarities = query[windows.tokens[part]] @ keys.transpose(1, 2)  # (t, 64, U)
        similarities += windows.bias
        similarities.masked_fill_(windows.beyond[part, None], -torch.inf)
        real = windows.real[part]
        yield (
            windows.tokens[part][real],
            similarities[real],
            union[:, None].expand_as(similarities)[real],
        )


def _anywhere(query: Tensor, source: Source) -> Candidates:
    """The like against all places of a source."""
    for tokens in torch.arange(len(query), device=query.device).split(TOKENS_AT_ONCE):
        similarities = query[tokens] @ source.frame.features.T
        places = torch.arange(similarities.shape[1], device=query.device)
        yield tokens, similarities, places.expand_as(similarities)
