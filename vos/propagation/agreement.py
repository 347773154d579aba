"""How far the labels of a frame agree with a second opinion, which knows neither place nor history.

Labels that were carried from frame to frame may have slipped off an object, and they look as sure
there as anywhere. Labels found anew, with every place open to every token, are worse than those
carried but know nothing of the slip: where the two part, an object is lost. The opinion is asked
in both directions, from the annotated frames to this one and back again, as a walk that returns to
where it began has kept its way (inverse consistency, at inference).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as functional
from torch import Tensor

from vos.propagation.config import PropagationConfig
from vos.propagation.context import ContextFrame

MARGIN = 3  # tokens around an object that the opinions are compared on
HIDDEN = 0.5  # tokens: an object with fewer is not to be seen
STRIDE = 2  # hidden objects are looked for in every second row and column
TOKENS_AT_ONCE = 512  # bounds the memory of similarities


def agreement(
    frame: ContextFrame,
    annotated: Sequence[ContextFrame],
    grid: tuple[int, int],
    config: PropagationConfig,
) -> Tensor:
    """Return the agreement on each object, 0 to 1.

    Of an object to be seen it is the geometric mean of two soft intersections over union: of its
    labels in the frame with those voted for by the annotated frames, and of its annotated labels
    with those voted for by the frame. Of one that is hidden it is 1 less the share of its annotated
    size that the annotated frames see somewhere.

    Args:
        frame: the frame in question.
        annotated: the frames whose labels are true.
        grid: height and width in tokens.

    Returns:
        (K,) float.
    """
    there = [_compare(frame, annotated, grid, config)]
    back = [_compare(each, [frame], grid, config) for each in annotated]
    both = (_overlap(there) * _overlap(back)).sqrt()
    hidden = frame.labels[:, 1:].sum(0) < HIDDEN
    if not bool(hidden.any()):
        return both
    sizes = torch.stack([each.labels[:, 1:].sum(0) for each in annotated]).amax(0)
    sparse = _sparse(grid).to(frame.labels.device)
    seen = _vote(frame.features[sparse], annotated, config)[:, 1:].sum(0) * STRIDE**2
    return torch.where(hidden, 1 - (seen / sizes.clamp(min=1e-9)).clamp(max=1), both)


def _compare(
    frame: ContextFrame,
    others: Sequence[ContextFrame],
    grid: tuple[int, int],
    config: PropagationConfig,
) -> tuple[Tensor, Tensor]:
    """(K,) sums of the smaller and of the larger of the frame's labels and the others' vote."""
    near = _around(frame.labels[:, 1:].amax(1), grid)
    labels = frame.labels[near, 1:]
    voted = _vote(frame.features[near], others, config)[:, 1:]
    return torch.minimum(labels, voted).sum(0), torch.maximum(labels, voted).sum(0)


def _overlap(sums: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    smaller, larger = (torch.stack(each).sum(0) for each in zip(*sums, strict=True))
    return smaller / larger.clamp(min=1e-9)


def _vote(query: Tensor, frames: Sequence[ContextFrame], config: PropagationConfig) -> Tensor:
    """(q, K + 1) labels by the nearest neighbours of ``query`` anywhere in ``frames``."""
    features = torch.cat([each.features for each in frames])
    labels = torch.cat([each.labels for each in frames])
    votes = [labels[:0]]
    for rows in query.split(TOKENS_AT_ONCE):
        values, places = (rows @ features.T).topk(min(config.neighbours, len(features)), dim=1)
        weights = torch.softmax(values / config.temperature, dim=1)
        votes.append(torch.einsum("qk,qkc->qc", weights, labels[places]))
    return torch.cat(votes)


def _around(shares: Tensor, grid: tuple[int, int]) -> Tensor:
    """(N,) bool, tokens at most ``MARGIN`` away from one that any object has a share of."""
    planes = (shares > 0).float().reshape(1, 1, *grid)
    side = 2 * MARGIN + 1
    return functional.max_pool2d(planes, side, stride=1, padding=MARGIN).flatten() > 0


def _sparse(grid: tuple[int, int]) -> Tensor:
    """(N,) bool, every second token of every second row."""
    plane = torch.zeros(grid, dtype=torch.bool)
    plane[::STRIDE, ::STRIDE] = True
    return plane.flatten()
