"""The propagation step in plain PyTorch, by tiles: for devices without an engine of their own.

Tokens are taken in tiles of 8 x 8, and a tile meets only the union of its windows, many tiles in
one batched product. Where flow leads, a tile meets what the windows there add, in a second product
of a rectangle that has moved along with most of its tokens; those that move otherwise meet theirs
one by one. The k best are merged source by source, so that memory does not grow with the
number of sources. Runs wherever PyTorch does (MPS, and CUDA without Triton); the same sums as the
reference, in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from vos.propagation.config import PropagationConfig, WindowShape
from vos.propagation.context import Source
from vos.propagation.labels import labels_to_mask
from vos.propagation.window import half_widths, in_window, squared_distance

__all__ = ["labels_to_mask", "propagate_labels"]

TILE = 8  # tokens a side
NUMBERS_AT_ONCE = 2**23  # gathered keys and similarities of some tiles: 32 MiB
SLACK = 2  # tokens that the moves of a tile may differ from their median to be met together
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
        for tokens, similarities, places in _search(query, source, windows):
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
class _Patches:
    """Groups of tokens, and the rectangle of places that each group meets.

    Attributes:
        tokens: (T, m) of each group; those beyond the border are the nearest that are there.
        real: (T, m) whether a token is there, and to be served.
        places: (T, U) of the rectangle, clamped to the grid in the same way.
        beyond: (T, U) whether a place lies beyond the border.
    """

    tokens: Tensor
    real: Tensor
    places: Tensor
    beyond: Tensor


@dataclass(frozen=True)
class _Windows:
    """The windows around the tokens of a grid.

    Attributes:
        tiles: 8 x 8 tokens each, and the union of their windows.
        corners: (T, 2) row and column of each tile's first token.
        bias: (64, U) what a similarity gains, -inf outside the window, wherever the tile is.
        halves: (2 R + 1,) half widths of the window's rows.
        penalty: what a similarity loses for each squared token of distance.
    """

    tiles: _Patches
    corners: Tensor
    bias: Tensor
    halves: Tensor
    penalty: float
    grid: tuple[int, int]


@lru_cache(maxsize=4)
def _windows(
    grid: tuple[int, int], shape: WindowShape, radius: float, penalty: float, device: str
) -> _Windows:
    halves = torch.from_numpy(half_widths(shape, radius, grid)).long().to(device)
    inner = torch.arange(TILE, device=device)
    outer_y, outer_x = (_around(reach, TILE, device) for reach in _reach(halves))
    reach_y = len(halves) // 2
    dy = (outer_y[None] - inner[:, None])[:, None, :, None]  # (8, 1, V, 1)
    dx = (outer_x[None] - inner[:, None])[None, :, None, :]  # (1, 8, 1, W)
    half = torch.where(dy.abs() <= reach_y, halves[(reach_y + dy).clamp(0, 2 * reach_y)], -1)
    distance2 = dy.square() + dx.square()
    bias = torch.where(dx.abs() <= half, -penalty * distance2.float(), -torch.inf)

    corners = torch.cartesian_prod(
        torch.arange(0, grid[0], TILE, device=device), torch.arange(0, grid[1], TILE, device=device)
    )  # (T, 2)
    tokens, off_tokens = _places(corners, inner, inner, grid)
    tiles = _Patches(tokens, ~off_tokens, *_places(corners, outer_y, outer_x, grid))
    return _Windows(tiles, corners, bias.reshape(TILE * TILE, -1), halves, penalty, grid)


def _reach(halves: Tensor) -> tuple[int, int]:
    """Return how many rows and columns the window reaches."""
    return len(halves) // 2, int(halves.max())


def _around(reach: int, tokens: int, device: str | torch.device) -> Tensor:
    """Offsets, from the first of some tokens in a row, of all that they reach."""
    return torch.arange(-reach, tokens + reach, device=device)


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
Bias = Callable[[Tensor, Tensor], Tensor]


def _search(query: Tensor, source: Source, windows: _Windows) -> Candidates:
    """Yield tokens (q,), similarities (q, U) and places (q, U) in a source, by tiles."""
    if not source.windowed:
        yield from _anywhere(query, source)
    elif source.leads is None:
        yield from _meet(query, source, windows.tiles, lambda *_: windows.bias)
    else:
        yield from _in_both_windows(query, source, source.leads, windows)


def _anywhere(query: Tensor, source: Source) -> Candidates:
    """Yield all places of a source."""
    for tokens in torch.arange(len(query), device=query.device).split(TOKENS_AT_ONCE):
        similarities = query[tokens] @ source.frame.features.T
        places = torch.arange(similarities.shape[1], device=query.device)
        yield tokens, similarities, places.expand_as(similarities)


def _in_both_windows(query: Tensor, source: Source, leads: Tensor, windows: _Windows) -> Candidates:
    """Yield the windows around the tokens' own places, then what those around their leads add."""
    halves, width = windows.halves, windows.grid[1]

    def nearer(tokens: Tensor, places: Tensor) -> Tensor:
        """Return what a similarity (t, m, U) gains."""
        own, led = (
            squared_distance(places[:, None], centres[..., None], width)
            for centres in (tokens, leads[tokens])
        )
        return -windows.penalty * torch.minimum(own, led)

    def in_own(tokens: Tensor, places: Tensor) -> Tensor:
        return in_window(places[:, None], tokens[..., None], halves, width)

    def around_own(tokens: Tensor, places: Tensor) -> Tensor:
        return torch.where(in_own(tokens, places), nearer(tokens, places), -torch.inf)

    def added_by_flow(tokens: Tensor, places: Tensor) -> Tensor:
        in_led = in_window(places[:, None], leads[tokens][..., None], halves, width)
        added = in_led & ~in_own(tokens, places)
        return torch.where(added, nearer(tokens, places), -torch.inf)

    yield from _meet(query, source, windows.tiles, around_own)
    for patches in _patches_led_to(leads, windows):
        yield from _meet(query, source, patches, added_by_flow)


def _patches_led_to(leads: Tensor, windows: _Windows) -> Iterator[_Patches]:
    """Yield tiles with a rectangle where most of their tokens are led to, then other tokens."""
    tokens, width = windows.tiles.tokens, windows.grid[1]
    reach_y, reach_x = _reach(windows.halves)
    own = torch.arange(len(leads), device=leads.device)
    moves = torch.stack([leads // width - own // width, leads % width - own % width], 1)[tokens]
    shifts = moves.median(dim=1).values  # (T, 2)
    together = (moves - shifts[:, None]).abs().amax(-1) <= SLACK  # (T, 64)
    moved = windows.tiles.real & (leads != own)[tokens]

    served = moved & together
    some = served.any(1)
    rows = _around(reach_y + SLACK, TILE, leads.device)
    columns = _around(reach_x + SLACK, TILE, leads.device)
    corners = (windows.corners + shifts)[some]
    yield _Patches(tokens[some], served[some], *_places(corners, rows, columns, windows.grid))

    alone = tokens[moved & ~together]
    rows, columns = _around(reach_y, 1, leads.device), _around(reach_x, 1, leads.device)
    corners = torch.stack([leads[alone] // width, leads[alone] % width], 1)
    each = torch.ones(len(alone), 1, dtype=torch.bool, device=leads.device)
    yield _Patches(alone[:, None], each, *_places(corners, rows, columns, windows.grid))


def _meet(query: Tensor, source: Source, patches: _Patches, bias: Bias) -> Candidates:
    """Similarities of each group's tokens and its places, plus a bias (t, m, U) of the two."""
    size = patches.places.shape[1]
    at_once = max(1, NUMBERS_AT_ONCE // (size * (query.shape[1] + patches.tokens.shape[1])))
    for start in range(0, len(patches.tokens), at_once):
        part = slice(start, start + at_once)
        tokens, places, real = patches.tokens[part], patches.places[part], patches.real[part]
        keys = source.frame.features[places]  # (t, U, C)
        similarities = query[tokens] @ keys.transpose(1, 2)  # (t, m, U)
        similarities += bias(tokens, places)
        similarities.masked_fill_(patches.beyond[part, None], -torch.inf)
        yield tokens[real], similarities[real], places[:, None].expand_as(similarities)[real]
