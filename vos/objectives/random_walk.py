"""The contrastive random walk (CRW): walk along a clip and back, and return to the start.

Every token (node) of a frame steps to the tokens of the next frame with probabilities
``softmax(cosine similarity / temperature)``. A walk along a palindrome of frames,
``0, 1, .., k, .., 1, 0``, should end at the node where it began, whatever lies between.

Source: Jabri, Owens, Efros, "Space-Time Correspondence as a Contrastive Random Walk", 2020. Two
things follow the paper and not its published code: the shortest palindrome, ``0, 1, 0``, counts
too (the code begins with ``0, 1, 2, 1, 0`` and has no loss for clips of two frames), and edges are
left out anew for each step (in the code those of the way there are left out of the way back as
well, and others besides, so that twice as many are missing there).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vos.errors import UsageError


def random_walk(
    features: Tensor,
    *,
    temperature: float = 0.05,
    edge_dropout: float = 0.1,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Log-probability that the walk over each palindrome returns to its start.

    The products of transition matrices are shared between palindromes: ``2 (T - 1)`` products
    of ``(N, N)`` matrices, memory ``O(B T N²)``.

    Args:
        features: nodes of clips, ``(B, T, N, C)`` with ``T >= 2``, of any length (they are
            normalised here): patches, or the tokens of feature maps.
        temperature: of the softmax over the next frame's nodes; > 0.
        edge_dropout: probability in [0, 1) that an edge is left out, drawn anew for each step
            of the way there and of the way back; the rest is normalised again. A node that
            loses every edge goes anywhere.
        generator: for the edges that are left out.

    Returns:
        ``(B, T - 1, N)``; entry ``k - 1`` is about the walk ``0 .. k .. 0``. At most 0.

    Raises:
        UsageError: shapes or values that make no sense.
    """
    if features.ndim != 4 or features.shape[1] < 2 or 0 in features.shape:
        raise UsageError(f"features must be (B, T >= 2, N, C): {tuple(features.shape)}")
    if temperature <= 0 or not 0 <= edge_dropout < 1:
        raise UsageError(
            f"temperature must be > 0 and edge dropout in [0, 1): {temperature}, {edge_dropout}"
        )
    if features.element_size() < 4:
        features = features.float()
    nodes = functional.normalize(features, dim=3)
    with torch.autocast(nodes.device.type, enabled=False):
        # (B, T - 1, N, N): of frame t by rows, of frame t + 1 by columns
        scores = nodes[:, :-1] @ nodes[:, 1:].transpose(2, 3) / temperature
        onward = _drop_edges(scores, edge_dropout, generator).softmax(3)
        backward = _drop_edges(scores.transpose(2, 3), edge_dropout, generator).softmax(3)
        there, back = onward[:, 0], backward[:, 0]
        returns = [_diagonal_of_product(there, back)]
        for step in range(1, scores.shape[1]):
            there = there @ onward[:, step]
            back = backward[:, step] @ back
            returns.append(_diagonal_of_product(there, back))
    probability = torch.stack(returns, 1)
    return probability.clamp(torch.finfo(probability.dtype).tiny, 1).log()


def random_walk_loss(
    features: Tensor,
    *,
    temperature: float = 0.05,
    edge_dropout: float = 0.1,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Cross-entropy to the start node, the mean over palindromes and nodes: a scalar >= 0.

    Same arguments and errors as `random_walk`.

    >>> clip = torch.eye(4).expand(1, 3, 4, 4)  # four nodes that stay what they are
    >>> loss = random_walk_loss(clip, edge_dropout=0.0)
    >>> bool(loss < 1e-6)
    True
    """
    return -random_walk(
        features, temperature=temperature, edge_dropout=edge_dropout, generator=generator
    ).mean()


def _drop_edges(scores: Tensor, probability: float, generator: torch.Generator | None) -> Tensor:
    if probability == 0:
        return scores
    draws = torch.rand(scores.shape, generator=generator, device=scores.device)
    # Finite, so that the softmax of a node without edges is uniform and not nan.
    return scores.masked_fill(draws < probability, torch.finfo(scores.dtype).min / 2)


def _diagonal_of_product(left: Tensor, right: Tensor) -> Tensor:
    """Diagonal of ``left @ right``, ``(B, N)``, without the product."""
    return (left * right.transpose(1, 2)).sum(2)
