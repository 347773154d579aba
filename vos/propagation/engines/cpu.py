"""The propagation step on the CPU: the reference's result at a small part of its work.

Four things save the work that the plain form spends:

- **windows**: only the places of a token's windows are looked at, not all of the frame;
- **labels**: where a token's whole reach carries one and the same pure label, that is its label,
  whatever its similarities. Where it does not, the k best of a few places nearby often agree; then
  theirs is the label if no place of another label, which most often are few, beats them. Only
  tokens for which one does, and those whose neighbours do not agree, are sought for in full;
- **a running threshold**: the k best places nearby tell what a similarity must exceed to matter,
  and what is found raises it;
- **bounds**: of each similarity an upper bound is computed first, from 8 numbers, then from 32
  (`bounds.py`), and the similarity itself only if these exceed the threshold.

All four are exact; results differ from the reference by rounding only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

from vos.propagation.config import PropagationConfig
from vos.propagation.context import ContextFrame, Source
from vos.propagation.engines import cpu_kernels as kernels
from vos.propagation.engines import cpu_windows
from vos.propagation.engines.array_table import array_table
from vos.propagation.engines.bounds import Reduced, reduced_features
from vos.propagation.engines.cpu_masks import labels_to_mask
from vos.propagation.engines.threads import in_threads
from vos.propagation.window import half_widths

__all__ = ["labels_to_mask", "propagate_labels"]

FINE_LEVEL, WHOLE_LEVEL = 1, 2
PLACES_AT_ONCE = 1024  # of an unrestricted frame, so that similarities stay in cache
TOKENS_AT_ONCE = 1024
PARTS = 16  # of the tokens: so that what one thread waits for another is short
LEAST = 32  # tokens of a part: what they share is prepared for each part anew
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
        nearby = _Best(step)
        known = _known_classes(step, nearby)
        settled = known >= 0
        result[np.flatnonzero(settled), known[settled]] = 1.0
        tokens = np.flatnonzero(~settled)
        if len(tokens):
            thresholds = nearby.values[:, -1] - ROUNDING
            best = _Best(step)
            if windowed:
                _search_windows(tokens, step, thresholds, best)
            for number in range(step.near, len(step.sources)):
                _search_everywhere(tokens, step, number, thresholds, best)
            kernels.vote(
                tokens,
                best.values,
                best.frames,
                best.places,
                array_table(step.labels),
                np.float32(config.temperature),
                result,
            )
    return torch.from_numpy(result)


Levels = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class _Step:
    """What the search of one frame reads: features, their bounds, and how sources count.

    Attributes:
        query: of the frame (N, COARSE) and (N, FINE) reduced features, and the features (N, C).
        sources: those inside the window first, as in all lists below.
        keys: the like of each source.
        labels: (N, K + 1) of each source.
        classes: (N,) the only channel of each of these labels, or MIXED.
        counts: how often each source counts.
        leads: (N,) the place in each source that the flow leads to from each token.
        near: how many of the sources are inside the window.
    """

    query: Levels
    sources: tuple[Source, ...]
    keys: list[Levels]
    labels: list[np.ndarray]
    classes: list[np.ndarray]
    counts: np.ndarray
    leads: list[np.ndarray]
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
            query=_levels(reduced, query),
            sources=ordered,
            keys=[_levels(r, s.frame.features) for r, s in zip(reduced_keys, ordered, strict=True)],
            labels=[source.frame.labels.numpy() for source in ordered],
            classes=[_classes(source.frame) for source in ordered],
            counts=np.array([source.count for source in ordered], np.int64),
            leads=[own if s.leads is None else s.leads.numpy() for s in ordered],
            near=len(windowed),
            grid=grid,
            halves=half_widths(config.window, config.radius, grid),
            penalty=np.float32(config.distance_penalty),
            neighbours=config.neighbours,
        )

    @cached_property
    def windows(self) -> tuple[Any, ...]:
        """What the loops of `cpu_windows` take."""
        return (
            self.query,
            tuple(array_table(level) for level in zip(*self.keys, strict=True)),
            self.near,
            self.counts,
            array_table(self.leads),
            self.grid,
            self.halves,
            self.penalty,
        )


def _levels(reduced: Reduced, features: Tensor) -> Levels:
    return reduced.coarse.numpy(), reduced.fine.numpy(), features.numpy()


class _Best:
    """The k best candidates of each token: similarity, number of the source, place in it."""

    def __init__(self, step: _Step) -> None:
        shape = (len(step.query[0]), step.neighbours)
        self.values = np.full(shape, -np.inf, np.float32)
        self.frames = np.full(shape, -1, np.int32)
        self.places = np.zeros(shape, np.int32)


def _known_classes(step: _Step, nearby: _Best) -> np.ndarray:
    """Return (N,) the channel that a token must get whatever else it resembles, or MIXED.

    Of the tokens that are looked at closely, ``nearby`` gets the k best of a few places.
    """
    known = np.full(len(step.query[0]), kernels.MIXED, np.int32)
    if not step.near:
        return known
    uniform = _uniform_classes(step)
    if step.near == len(step.sources):
        known[:] = uniform
    tokens = _by_tile(np.flatnonzero(known < 0), step.grid)
    _look_nearby(tokens, step, nearby)
    agreed = kernels.agreed_classes(tokens, nearby.frames, nearby.places, array_table(step.classes))
    for channel in np.unique(agreed[tokens]):
        if channel != kernels.MIXED:
            part = tokens[agreed[tokens] == channel]
            known[_unrivalled(part, channel, uniform, nearby.values[:, -1], step)] = channel
    return known


def _unrivalled(
    tokens: np.ndarray, channel: int, uniform: np.ndarray, thresholds: np.ndarray, step: _Step
) -> np.ndarray:
    """Return those of ``tokens`` of a class that no place of another one, anywhere, may win."""
    rivalled = np.zeros(len(thresholds), bool)
    _mark_rivalled_in_windows(tokens[uniform[tokens] < 0], channel, thresholds, step, rivalled)
    tokens = tokens[~rivalled[tokens]]
    return tokens[~_rivalled_anywhere(tokens, channel, thresholds[tokens], step)]


def _uniform_classes(step: _Step) -> np.ndarray:
    """Return (N,) the class of all places in the windows around a token, or MIXED."""
    extremes = [_extremes(source, step) for source in step.sources[: step.near]]
    low = np.min([low for low, _ in extremes], axis=0)
    high = np.max([high for _, high in extremes], axis=0)
    return np.where((low == high) & (low >= 0), low, kernels.MIXED)


def _look_nearby(tokens: np.ndarray, step: _Step, nearby: _Best) -> None:
    def look(part: np.ndarray) -> None:
        cpu_windows.best_nearby(part, step.windows, nearby.values, nearby.frames, nearby.places)

    _for_parts(tokens, look)


def _mark_rivalled_in_windows(
    tokens: np.ndarray, channel: int, thresholds: np.ndarray, step: _Step, rivalled: np.ndarray
) -> None:
    runs = _runs_of_others(step.sources[: step.near], channel, step.grid)

    def mark(part: np.ndarray) -> None:
        cpu_windows.mark_rivalled(part, step.windows, runs, thresholds, rivalled)

    _for_parts(tokens, mark)


def _rivalled_anywhere(
    tokens: np.ndarray, channel: int, thresholds: np.ndarray, step: _Step
) -> np.ndarray:
    """Return for each of ``tokens`` whether another class, outside of windows, may win it."""
    rivalled = np.ones(len(tokens), bool)
    foreign = [np.flatnonzero(classes != channel) for classes in step.classes[step.near :]]
    # Bounds decide most; what they leave open is decided by the similarities themselves.
    for level in (FINE_LEVEL, WHOLE_LEVEL):
        rows = step.query[level]
        places = [step.keys[step.near + i][level][found] for i, found in enumerate(foreign)]
        if sum(map(len, places)) == 0:
            return np.zeros(len(tokens), bool)
        others = torch.from_numpy(np.concatenate(places))
        for part in _parts(np.flatnonzero(rivalled)):
            rivals = torch.from_numpy(rows[tokens[part]]) @ others.T
            rivalled[part] = rivals.amax(1).numpy() >= thresholds[part]
    return rivalled


def _search_windows(tokens: np.ndarray, step: _Step, thresholds: np.ndarray, best: _Best) -> None:
    def search(part: np.ndarray) -> None:
        cpu_windows.windowed_neighbours(
            part, step.windows, thresholds, best.values, best.frames, best.places
        )

    _for_parts(_by_tile(tokens, step.grid), search)


def _search_everywhere(
    tokens: np.ndarray, step: _Step, number: int, thresholds: np.ndarray, best: _Best
) -> None:
    """Merge source ``number``, without a window: plain products, scanned while in cache."""
    keys = torch.from_numpy(step.keys[number][FINE_LEVEL])
    for part in _parts(tokens):
        rows = torch.from_numpy(step.query[FINE_LEVEL][part])
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
                    step.query[WHOLE_LEVEL],
                    step.keys[number][WHOLE_LEVEL],
                    thresholds,
                    best.values,
                    best.frames,
                    best.places,
                )

            in_threads(merge)


def _parts(tokens: np.ndarray) -> list[np.ndarray]:
    """``tokens`` in pieces whose products stay in cache."""
    return np.array_split(tokens, -(-len(tokens) // TOKENS_AT_ONCE) or 1)


def _for_parts(tokens: np.ndarray, work: Callable[[np.ndarray], None]) -> None:
    """Let the threads ``work`` on many small parts in turn: how long one takes is not known."""
    if not len(tokens):
        return
    parts = np.array_split(tokens, min(PARTS, -(-len(tokens) // LEAST)))

    def take(worker: int, workers: int) -> None:
        for part in parts[worker::workers]:
            work(part)

    in_threads(take)


def _by_tile(tokens: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Return tokens sorted by the tile they lie in."""
    y, x = np.divmod(tokens, grid[1])
    return tokens[np.lexsort((x // cpu_windows.TILE, y // cpu_windows.TILE))]


def _classes(frame: ContextFrame) -> np.ndarray:
    if "classes" not in frame.derived:
        frame.derived["classes"] = kernels.pure_classes(frame.labels.numpy())
    return frame.derived["classes"]


def _runs_of_others(
    sources: Sequence[Source], channel: int, grid: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the runs of all sources, and (sources, rows + 1) the first of each row of each."""
    runs, firsts = zip(*(_runs_of_frame(s.frame, channel, grid) for s in sources), strict=True)
    begins = np.cumsum([0, *map(len, runs[:-1])], dtype=np.int32)
    return np.concatenate(runs), np.stack(firsts) + begins[:, None]


def _runs_of_frame(
    frame: ContextFrame, channel: int, grid: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    known = frame.derived.setdefault("runs", {})
    if channel not in known:
        known[channel] = cpu_windows.runs_of_others(_classes(frame), channel, grid[1])
    return known[channel]


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
