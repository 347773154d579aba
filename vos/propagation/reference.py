"""The propagation step written plainly: every other implementation is tested against it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vos.propagation.config import PropagationConfig
from vos.propagation.context import Source
from vos.propagation.labels import labels_to_mask
from vos.propagation.window import half_widths

__all__ = ["labels_to_mask", "propagate_labels"]

QUERIES_AT_ONCE = 256  # bounds the memory of the dense affinity


def propagate_labels(
    query: Tensor, sources: Sequence[Source], grid: tuple[int, int], config: PropagationConfig
) -> Tensor:
    """Soft labels of a frame: a softmax-weighted vote of its tokens' nearest neighbours.

    For each token the ``config.neighbours`` most similar tokens are sought over all sources at
    once (a source that counts n times offers each of its tokens n times); their labels are
    averaged with weights softmax(similarity / temperature).

    Args:
        query: (N, C) features of length one of the frame to label.
        sources: the context frames.
        grid: height and width in tokens, N = height * width.

    Returns:
        (N, K + 1) float soft labels.
    """
    offered = [source for source in sources for _ in range(source.count)]
    keys = [source.frame.features for source in offered]
    labels = torch.cat([source.frame.labels for source in offered])  # (n N, K + 1)
    window = window_bias(grid, config, query.device)  # (N, N)
    neighbours = min(config.neighbours, len(labels))

    result = []
    for start in range(0, len(query), QUERIES_AT_ONCE):
        chunk = slice(start, start + QUERIES_AT_ONCE)
        similarities = []
        for source, key in zip(offered, keys, strict=True):
            similarity = query[chunk] @ key.T  # (q, N)
            if source.windowed:
                similarity = similarity + window[chunk]
            similarities.append(similarity)
        values, places = torch.cat(similarities, dim=1).topk(neighbours, dim=1)  # (q, k)
        weights = torch.softmax(values / config.temperature, dim=1)
        result.append(torch.einsum("qk,qkc->qc", weights, labels[places]))
    return torch.cat(result)


def window_bias(grid: tuple[int, int], config: PropagationConfig, device: torch.device) -> Tensor:
    """(N, N) float: what a similarity to the place of the column gains for the token of the row.

    Minus infinity outside the window; inside, minus the penalty of the squared distance.
    """
    halves = torch.from_numpy(half_widths(config.window, config.radius, grid)).to(device)
    reach = len(halves) // 2
    rows = torch.arange(grid[0], device=device)
    columns = torch.arange(grid[1], device=device)
    dy = (rows[None, :] - rows[:, None]).abs()  # (h, h)
    dx = (columns[None, :] - columns[:, None]).abs()  # (w, w)
    # -1 marks rows that are out of reach whatever the column.
    half = torch.where(dy <= reach, halves[(reach + dy).clamp(max=2 * reach)], -1)
    inside = dx[None, :, None, :] <= half[:, None, :, None]  # (h, w, h, w)
    distance2 = dy.square()[:, None, :, None] + dx.square()[None, :, None, :]
    bias = torch.where(inside, -config.distance_penalty * distance2, -torch.inf)
    tokens = grid[0] * grid[1]
    return bias.reshape(tokens, tokens)
