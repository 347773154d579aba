"""The propagation step on the CPU: the reference's result at a small part of its work.

Four things save the work that the plain form spends:

- **windows**: tokens are taken in tiles of 8 x 8; a tile meets only the union of its windows, in
  one matrix product per frame, instead of every place of the frame (windows that flow leads far
  away are met apart, by tokens that are led to neighbouring places together);
- **bounds**: of each similarity an upper bound is computed first, at a fraction of its cost
  (`bounds.py`), and the similarity itself only if that beats the k-th best so far;
- **a running threshold**: bounds are scanned while they are in cache and dropped at once unless
  they pass; nothing of size N x N is ever stored. A few places nearby give the first threshold;
- **labels**: a token whose whole reach carries one and the same pure label gets that label,
  whatever its similarities, so far from object borders nothing is computed. Where annotated frames
  are not restricted to the window, a bound decides: the label holds if no place of another label
  in those frames beats the k best of a few places nearby.

All four are exact; results differ from the reference by rounding only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numba.typed import List
from threadpoolctl import ThreadpoolController
from torch import Tensor

from vos.propagation.config import PropagationConfig
from vos.propagation.context import ContextFrame, Source
from vos.propagation.engines import cpu_kernels as kernels
from vos.propagation.engines.bounds import reduced_features
from vos.propagation.engines.cpu_masks import labels_to_mask
from vos.propagation.engines.threads import in_threads
from vos.propagation.window import half_widths

__all__ = ["labels_to_mask", "propagate_labels"]

TILE = 8  # tokens a side
PLACES_AT_ONCE = 1024  # of an unrestricted frame, so that similarities stay in cache
TOKENS_AT_ONCE = 1024
ROUNDING = 1e-5  # similarities are sums of hundreds of products, added up in different orders


def propagate_labels(
    query: Tensor, sources: Sequence[Source], grid: tuple[int, int], config: PropagationConfig
) -> Tensor:
    """Soft labels (N, K + 1) of a frame; see `reference.propagate_labels`."""
    windowed = [source for source in sources if source.windowed]
    anywhere = [source for source in sources if not source.windowed]
    channels = sources[0].frame.labels.shape[1]
    result = np.zeros((len(query), channels), np.float32)
    with _one_blas_thread():
        step = _Step.of(query, windowed, anywhere, grid, config)
        known = _known_classes(step, windowed, anywhere)
        settled = known >= 0
        result[np.flatnonzero(settled), known[settled]] = 1.0
        tokens = np.flatnonzero(~settled)
        if len(tokens):
            best = _Best(step, tokens)
            if windowed:
                _search_windows(tokens, step, best)
            for number in range(len(windowed), len(windowed) + len(anywhere)):
                _search_everywhere(tokens, step, number, best)
            labels = List([source.frame.labels.numpy() for source in (*windowed, *anywhere)])
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


@dataclass(frozen=True)
class _Step:
    """What the search of one frame reads: features, their bounds, and how sources count.

    Attributes:
        rows: (N, C) features of the frame.
        reduced: (N, d + 1) their reduced form.
        keys: (N, C) features of each source, those inside the window first.
        reduced_keys: (N, d + 1) their reduced form.
        counts: how often each source counts.
        leads: (N,) the place in each source that the flow leads to from each token.
        near: how many of the sources are inside the window.
    """

    rows: np.ndarray
    reduced: np.ndarray
    keys: List
    reduced_keys: List
    counts: np.ndarray
    leads: List
    near: int
    grid: tuple[int, int]
    halves: np.ndarray
    penalty: np.float32
    neighbours: int

    @classmethod
    def of(
        cls,
        query: Tensor,
        windowed: Sequence[Source],
        anywhere: Sequence[Source],
        grid: tuple[int, int],
        config: PropagationConfig,
    ) -> _Step:
        ordered = (*windowed, *anywhere)
        own = np.arange(len(query))
        reduced, reduced_keys = reduced_features(query, ordered)
        return cls(
            rows=query.numpy(),
            reduced=reduced.numpy(),
            keys=List([source.frame.features.numpy() for source in ordered]),
            reduced_keys=List([key.numpy() for key in reduced_keys]),
            counts=np.array([source.count for source in ordered], np.int64),
            leads=List([own if s.leads is None else s.leads.numpy() for s in ordered]),
            near=len(windowed),
            grid=grid,
            halves=half_widths(config.window, config.radius, grid),
            penalty=np.float32(config.distance_penalty),
            neighbours=config.neighbours,
        )

    def thresholds(self, tokens: np.ndarray) -> np.ndarray:
        """Return a lower bound of the k-th best similarity of each of ``tokens``; -inf if none is.

        It comes from the places that the token most resembles, if nothing goes wrong: right
        beside where it was in the sources inside the window.
        """
        found = np.full(len(tokens), -np.inf, np.float32)
        if not self.near:
            return found

        def look(worker: int, workers: int) -> None:
            part = slice(worker, None, workers)
            found[part] = kernels.kth_of_nearby(
                tokens[part],
                self.rows,
                self.keys,
                self.near,
                self.counts,
                self.leads,
                self.grid,
                self.halves,
                self.penalty,
                self.neighbours,
            )

        in_threads(look)
        return found


class _Best:
    """The k best candidates of each token: similarity, number of the source, place in it.

    ``thresholds`` (N,) holds what a similarity must exceed to be looked at.
    """

    def __init__(self, step: _Step, tokens: np.ndarray) -> None:
        shape = (len(step.rows), step.neighbours)
        self.values = np.full(shape, -np.inf, np.float32)
        self.frames = np.full(shape, -1, np.int32)
        self.places = np.zeros(shape, np.int32)
        self.thresholds = np.full(len(step.rows), kernels.LEAST, np.float32)
        found = step.thresholds(tokens) - ROUNDING
        self.thresholds[tokens] = np.maximum(found, kernels.LEAST)


def _known_classes(
    step: _Step, windowed: Sequence[Source], anywhere: Sequence[Source]
) -> np.ndarray:
    """Return (N,) the channel that a token must get whatever its similarities, or -1."""
    known = np.full(len(step.rows), kernels.MIXED, np.int32)
    if not windowed:
        return known
    extremes = [_extremes(source, step) for source in windowed]
    low = np.min([low for low, _ in extremes], axis=0)
    high = np.max([high for _, high in extremes], axis=0)
    for channel in np.unique(low[(low == high) & (low >= 0)]):
        tokens = np.flatnonzero((low == channel) & (high == channel))
        if anywhere:
            tokens = _out_of_reach(tokens, channel, step, anywhere)
        known[tokens] = channel
    return known


def _out_of_reach(
    tokens: np.ndarray, channel: int, step: _Step, anywhere: Sequence[Source]
) -> np.ndarray:
    """Return the ``tokens`` whose label is certain: no place of another label can win a vote."""
    foreign = [np.flatnonzero(_classes(source.frame) != channel) for source in anywhere]
    undecided = np.ones(len(tokens), bool)
    thresholds = step.thresholds(tokens)
    # Bounds decide most; what they leave open is decided by the similarities themselves.
    for rows, keys in ((step.reduced, step.reduced_keys), (step.rows, step.keys)):
        places = [keys[step.near + i][found] for i, found in enumerate(foreign)]
        others = torch.from_numpy(np.concatenate(places))
        if len(others) == 0:
            return tokens
        for part in _parts(np.flatnonzero(undecided)):
            rivals = torch.from_numpy(rows[tokens[part]]) @ others.T
            undecided[part] = rivals.amax(1).numpy() >= thresholds[part]
    return tokens[~undecided]


def _search_windows(tokens: np.ndarray, step: _Step, best: _Best) -> None:
    tiles, starts = _tiles(tokens, step.grid)
    penalties, beyond = _losses_by_offset(step)

    def search(worker: int, workers: int) -> None:
        kernels.windowed_neighbours(
            tiles,
            starts,
            worker,
            workers,
            step.rows,
            step.reduced,
            step.keys,
            step.reduced_keys,
            step.near,
            step.counts,
            step.leads,
            step.grid,
            step.halves,
            penalties,
            beyond,
            best.thresholds,
            best.values,
            best.frames,
            best.places,
        )

    in_threads(search)


def _losses_by_offset(step: _Step) -> tuple[np.ndarray, np.ndarray]:
    """Flat (2 H - 1, 2 W - 1) tables: the penalty of each offset, and FAR outside the window."""
    height, width = step.grid
    dy, dx = np.arange(1 - height, height)[:, None], np.arange(1 - width, width)[None]
    reach = len(step.halves) // 2
    half = np.where(abs(dy) <= reach, step.halves[np.clip(reach + dy, 0, 2 * reach)], -1)
    beyond = np.where(abs(dx) <= half, np.float32(0), np.float32(kernels.FAR))
    return (step.penalty * (dy**2 + dx**2).astype(np.float32)).ravel(), beyond.ravel()


def _search_everywhere(tokens: np.ndarray, step: _Step, number: int, best: _Best) -> None:
    """Merge source ``number``, without a window: plain products, scanned while in cache."""
    keys = torch.from_numpy(step.reduced_keys[number])
    for part in _parts(tokens):
        rows = torch.from_numpy(step.reduced[part])
        for place in range(0, len(keys), PLACES_AT_ONCE):
            bounds = (rows @ keys[place : place + PLACES_AT_ONCE].T).numpy()

            def merge(
                worker: int,
                workers: int,
                part: np.ndarray = part,
                bounds: np.ndarray = bounds,
                place: int = place,
            ) -> None:
                kernels.merge_everywhere(
                    part,
                    bounds,
                    place,
                    number,
                    step.counts[number],
                    worker,
                    workers,
                    step.rows,
                    step.keys[number],
                    best.thresholds,
                    best.values,
                    best.frames,
                    best.places,
                )

            in_threads(merge)


def _parts(tokens: np.ndarray) -> list[np.ndarray]:
    """``tokens`` in pieces whose products stay in cache."""
    return np.array_split(tokens, -(-len(tokens) // TOKENS_AT_ONCE) or 1)


def _tiles(tokens: np.ndarray, grid: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens sorted by the tile they lie in, and where each tile starts."""
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


def _extremes(source: Source, step: _Step) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) the smallest and the largest class in reach of each token."""
    frame = source.frame
    if "extremes" not in frame.derived:
        frame.derived["extremes"] = kernels.extremes_around(
            _classes(frame), *step.grid, len(step.halves) // 2, int(step.halves.max())
        )
    low, high = frame.derived["extremes"]
    if source.leads is None:
        return low, high
    leads = source.leads.numpy()
    return np.minimum(low, low[leads]), np.maximum(high, high[leads])


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    import scipy.linalg  # noqa: F401 - brings the BLAS that the compiled loops call

    return ThreadpoolController().select(user_api="blas")


def _one_blas_thread():  # type: ignore[no-untyped-def]
    """The loops run in threads of their own: each product inside them must use one only."""
    return _controller().limit(limits=1)
