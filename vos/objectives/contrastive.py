"""Contrastive multiview coding (CMC): views of one scene together, views of different scenes apart.

An anchor ``z1`` is scored against candidates ``z2`` by ``s = <z1, z2> / temperature``; the critic
of the source is ``exp(s)``. One candidate shows the same scene (the positive), k show others.
Two losses tell them apart:

- softmax: ``-log exp(s+) / (exp(s+) + sum exp(s-))``, cross-entropy to the positive (InfoNCE);
- NCE: each candidate alone is data or noise, ``P(D=1) = p_d / (p_d + m p_n)`` with
  ``p_d = exp(s) / Z`` and uniform noise ``p_n = 1 / n`` over the n scenes. All in log space:
  ``P(D=1) = sigmoid(s - log Z - log(m / n))``.

Sources: Tian, Krishnan, Isola, "Contrastive Multiview Coding", 2019, https://arxiv.org/abs/1906.05849;
van den Oord et al., "Representation Learning with Contrastive Predictive Coding", 2018 (InfoNCE);
Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", 2018 (NCE).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from vos.errors import UsageError, near_names

GRAPHS = ("core", "full")
LOSSES = ("nce", "softmax")


def critic(
    anchors: Tensor, positives: Tensor, negatives: Tensor, *, temperature: float = 0.07
) -> tuple[Tensor, Tensor]:
    """Log-critic of each anchor with its positive and with its negatives.

    Time and memory are linear in the number of negatives.

    Args:
        anchors: features of one view, ``(B, d)``, usually of length 1.
        positives: the other view of the same scenes, ``(B, d)``.
        negatives: the other view of other scenes: ``(k, d)``, the same for all anchors, or
            ``(B, k, d)``, their own for each.
        temperature: > 0.

    Returns:
        scores ``(B,)`` of the positives and ``(B, k)`` of the negatives.

    Raises:
        UsageError: shapes or a temperature that make no sense.
    """
    if temperature <= 0:
        raise UsageError(f"the temperature must be positive: {temperature}")
    batch, width = anchors.shape
    if positives.shape != (batch, width) or negatives.shape[-1] != width or negatives.ndim > 3:
        raise UsageError(
            "anchors, positives and negatives must be (B, d), (B, d) and (k, d) or (B, k, d): "
            f"{tuple(anchors.shape)}, {tuple(positives.shape)}, {tuple(negatives.shape)}"
        )
    positive = (anchors * positives).sum(1)
    if negatives.ndim == 2:
        negative = anchors @ negatives.T
    else:
        negative = torch.bmm(negatives, anchors[:, :, None])[:, :, 0]
    return positive / temperature, negative / temperature


def critic_in_batch(
    anchors: Tensor,
    candidates: Tensor,
    anchor_ids: Tensor,
    candidate_ids: Tensor,
    own: Tensor,
    *,
    temperature: float = 0.07,
) -> tuple[Tensor, Tensor]:
    """Return the scores of `critic` with all other scenes of the batch as negatives.

    Args:
        anchors: features of one view, ``(B, d)``.
        candidates: the other view of the whole batch, ``(N, d)``.
        anchor_ids, candidate_ids: which scene each shows, ``(B,)`` and ``(N,)``: candidates of
            the anchor's own scene are no negatives.
        own: ``(B,)`` index of each anchor's positive among the candidates.

    Returns:
        ``(B,)`` and ``(B, N)``, the latter ``-inf`` where a candidate is no negative.
    """
    scores = anchors @ candidates.T / temperature
    positive = scores.gather(1, own[:, None])[:, 0]
    return positive, scores.masked_fill(anchor_ids[:, None] == candidate_ids[None], -torch.inf)


def softmax_loss(positive: Tensor, negative: Tensor) -> Tensor:
    """Cross-entropy to the positive among all candidates, ``(B,)``, at least 0.

    >>> softmax_loss(torch.zeros(1), torch.zeros(1, 3))  # four candidates, no preference
    tensor([1.3863])
    """
    everything = torch.cat([positive[:, None], negative], dim=1)
    return everything.logsumexp(1) - positive


def nce_loss(
    positive: Tensor, negative: Tensor, *, log_partition: Tensor | float, population: int
) -> Tensor:
    """``-log P(D=1 | positive) - sum log P(D=0 | negative)``, ``(B,)``, at least 0.

    Args:
        positive, negative: scores of `critic`; ``-inf`` for candidates that do not count.
        log_partition: log Z, see `log_partition`.
        population: n, the number of scenes that the noise is uniform over.
    """
    offset = log_partition + _log_count(negative) - math.log(population)  # log(Z m / n), (B,)
    data = functional.logsigmoid(positive - offset)
    noise = functional.logsigmoid(offset[:, None] - negative)
    return -data - noise.sum(1)


@torch.no_grad()
def log_partition(positive: Tensor, negative: Tensor, population: int) -> Tensor:
    """Log of the published estimate of Z: n times the mean of the critic over all candidates."""
    everything = torch.cat([positive[:, None], negative], dim=1)
    mean = everything.flatten().logsumexp(0) - _log_count(everything.view(1, -1))[0]
    return mean + math.log(population)


@torch.no_grad()
def information_bound(positive: Tensor, negative: Tensor) -> Tensor:
    """Return ``log k - L``, in nats, L the softmax loss: on average a lower bound of I(z1; z2).

    It holds for negatives that are drawn independently of the anchor, and is log k at most.
    """
    return (_log_count(negative) - softmax_loss(positive, negative)).mean()


def _log_count(scores: Tensor) -> Tensor:
    """Log of how many scores of each row count, ``(B,)``."""
    return scores.isfinite().sum(1).clamp_min(1).to(scores.dtype).log()


def view_pairs(graph: str, views: int) -> list[tuple[int, int]]:
    """Return which views are compared: the first with all others (core) or each with each (full).

    A single view is compared with itself: with the memory of the same scene.

    >>> view_pairs("core", 3), view_pairs("full", 3)
    ([(0, 1), (0, 2)], [(0, 1), (0, 2), (1, 2)])

    Raises:
        UsageError: unknown graph or no view.
    """
    if graph not in GRAPHS:
        raise UsageError(f"unknown graph {graph!r}: {near_names(graph, GRAPHS)}")
    if views < 1:
        raise UsageError("there must be a view")
    if views == 1:
        return [(0, 0)]
    if graph == "core":
        return [(0, other) for other in range(1, views)]
    return [(one, other) for one in range(views) for other in range(one + 1, views)]


def directions(graph: str, views: int) -> list[tuple[int, int]]:
    """Anchor and candidate view of every term of the loss: each pair of views both ways.

    >>> directions("core", 2)
    [(0, 1), (1, 0)]
    """
    pairs = view_pairs(graph, views)
    return [*pairs, *((other, one) for one, other in pairs if one != other)]
