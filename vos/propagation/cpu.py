"""The propagation step on the CPU: the reference's result at a small part of its work.

Three things save the work that the plain form spends:

- **windows**: tokens are taken in tiles of 8 x 8; a tile meets only the union of its windows, in
  one matrix product a frame, instead of every place of the frame;
- **a running threshold**: similarities are scanned while they are in cache and dropped at once
  unless they beat the k-th best so far; nothing of size N x N is ever stored;
- **labels**: a token whose whole reach carries one and the same pure label gets that label,
  whatever its similarities, so far from object borders nothing is computed. Where annotated frames
  are not restricted to the window, a bound decides: the label holds if no place of another label
  in those frames beats the k best of a few places nearby.

All three are exact; results differ from the reference by rounding only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numba.typed import List
from threadpoolctl import ThreadpoolController
from torch import Tensor

from vos.propagation import cpu_kernels as kernels
from vos.propagation.config import PropagationConfig
from vos.propagation.context import ContextFrame, Source
from vos.propagation.cpu_masks import labels_to_mask
from vos.propagation.threads import in_threads
from vos.propagation.window import half_widths

__all__ = ["labels_to_mask", "propagate_labels"]

TILE = 8  # tokens a side
PLACES_AT_ONCE = 1024  # of an unrestricted frame, so that similarities stay in cache
TOKENS_AT_ONCE = 1024


def propagate_labels(
    query: Tensor, sources: Sequence[Source], grid: tuple[int, int], config: PropagationConfig
) -> Tensor:
    """Soft labels (N, K + 1) of a frame; see `reference.propagate_labels`."""
    halves = half_widths(config.window, config.radius, grid)
    windowed = [source for source in sources if source.windowed]
    anywhere = [source for source in sources if not source.windowed]
    ordered = windowed + anywhere
    channels = ordered[0].frame.labels.shape[1]
    result = np.zeros((len(query), channels), np.float32)
    rows = query.numpy()
    with _one_blas_thread():
        known = _known_classes(rows, windowed, anywhere, grid, halves, config)
        settled = known >= 0
        result[np.flatnonzero(settled), known[settled]] = 1.0
        tokens = np.flatnonzero(~settled)
        if len(tokens):
            best = _Best(len(rows), config.neighbours)
            if windowed:
                _search_windows(tokens, rows, windowed, grid, halves, config, best)
            for offset, source in enumerate(anywhere, start=len(windowed)):
                _search_everywhere(tokens, query, source, offset, best)
            labels = List([source.frame.labels.numpy() for source in ordered])
            kernels.vote(
                tokens,
                best.values,
                best.frames,
                best.places,
                labels,
                np.float32(config.temperature),
                result,
            )
    return torch.from_numpy(result)


class _Best:
    """The k best candidates of each token: similarity, number of the source, place in it."""

    def __init__(self, tokens: int, neighbours: int) -> None:
        self.values = np.full((tokens, neighbours), -np.inf, np.float32)
        self.frames = np.full((tokens, neighbours), -1, np.int32)
        self.places = np.zeros((tokens, neighbours), np.int32)


def _known_classes(
    rows: np.ndarray,
    windowed: Sequence[Source],
    anywhere: Sequence[Source],
    grid: tuple[int, int],
    halves: np.ndarray,
    config: PropagationConfig,
) -> np.ndarray:
    """(N,) the channel that a token must get whatever its similarities, or -1."""
    known = np.full(len(rows), kernels.MIXED, np.int32)
    if not windowed:
        return known
    extremes = [_extremes(source.frame, grid, halves) for source in windowed]
    low = np.min([low for low, _ in extremes], axis=0)
    high = np.max([high for _, high in extremes], axis=0)
    for channel in np.unique(low[(low == high) & (low >= 0)]):
        tokens = np.flatnonzero((low == channel) & (high == channel))
        if anywhere:
            tokens = _out_of_reach(tokens, channel, rows, windowed, anywhere, grid, config)
        known[tokens] = channel
    return known


def _out_of_reach(
    tokens: np.ndarray,
    channel: int,
    rows: np.ndarray,
    windowed: Sequence[Source],
    anywhere: Sequence[Source],
    grid: tuple[int, int],
    config: PropagationConfig,
) -> np.ndarray:
    """Those of ``tokens`` that no place of another label, anywhere, can win a vote for."""
    foreign = []
    for source in anywhere:
        classes = _classes(source.frame)
        places = np.flatnonzero(classes != channel)
        foreign.append(source.frame.features.numpy()[places])
    others = torch.from_numpy(np.concatenate(foreign))
    if len(others) == 0:
        return tokens
    keys = List([source.frame.features.numpy() for source in windowed])
    counts = np.array([source.count for source in windowed], np.int64)
    penalty, neighbours = np.float32(config.distance_penalty), config.neighbours

    def settle(part: np.ndarray) -> np.ndarray:
        bound = kernels.kth_of_nearby(part, rows, keys, counts, grid, penalty, neighbours)
        rivals = (torch.from_numpy(rows[part]) @ others.T).amax(1).numpy()
        return part[rivals < bound]

    parts = [tokens[i : i + TOKENS_AT_ONCE] for i in range(0, len(tokens), TOKENS_AT_ONCE)]
    return np.concatenate([settle(part) for part in parts])


def _search_windows(
    tokens: np.ndarray,
    rows: np.ndarray,
    windowed: Sequence[Source],
    grid: tuple[int, int],
    halves: np.ndarray,
    config: PropagationConfig,
    best: _Best,
) -> None:
    tiles, starts = _tiles(tokens, grid)
    keys = List([source.frame.features.numpy() for source in windowed])
    counts = np.array([source.count for source in windowed], np.int64)
    penalty = np.float32(config.distance_penalty)

    def search(worker: int, workers: int) -> None:
        kernels.windowed_neighbours(
            tiles,
            starts,
            worker,
            workers,
            rows,
            keys,
            counts,
            grid,
            halves,
            penalty,
            best.values,
            best.frames,
            best.places,
        )

    in_threads(search)


def _search_everywhere(
    tokens: np.ndarray, query: Tensor, source: Source, offset: int, best: _Best
) -> None:
    """Merge a source without a window: plain matrix products, scanned while in cache."""
    keys = source.frame.features
    for part in np.array_split(tokens, max(1, len(tokens) // TOKENS_AT_ONCE)):
        rows = query[torch.from_numpy(part)]
        for place in range(0, len(keys), PLACES_AT_ONCE):
            similarities = (rows @ keys[place : place + PLACES_AT_ONCE].T).numpy()

            def merge(
                worker: int,
                workers: int,
                part: np.ndarray = part,
                similarities: np.ndarray = similarities,
                place: int = place,
            ) -> None:
                kernels.merge_similarities(
                    part,
                    similarities,
                    place,
                    offset,
                    source.count,
                    worker,
                    workers,
                    best.values,
                    best.frames,
                    best.places,
                )

            in_threads(merge)


def _tiles(tokens: np.ndarray, grid: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Tokens sorted by the tile they lie in, and where each tile starts."""
    width = grid[1]
    across = -(-width // TILE)
    tile = (tokens // width // TILE) * across + tokens % width // TILE
    order = np.argsort(tile, kind="stable")
    changes = np.flatnonzero(np.diff(tile[order])) + 1
    return tokens[order], np.concatenate([[0], changes, [len(tokens)]])


def _classes(frame: ContextFrame) -> np.ndarray:
    if "classes" not in frame.derived:
        frame.derived["classes"] = kernels.pure_classes(frame.labels.numpy())
    return frame.derived["classes"]


def _extremes(
    frame: ContextFrame, grid: tuple[int, int], halves: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    if "extremes" not in frame.derived:
        frame.derived["extremes"] = kernels.extremes_around(
            _classes(frame), *grid, len(halves) // 2, int(halves.max())
        )
    return frame.derived["extremes"]


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    import scipy.linalg  # noqa: F401 - brings the BLAS that the compiled loops call

    return ThreadpoolController().select(user_api="blas")


def _one_blas_thread():  # type: ignore[no-untyped-def]
    """The loops run in threads of their own: each product inside them must use one only."""
    return _controller().limit(limits=1)
