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
    for tokens in torch.arange(len(query), device=query.device).split(QUERIES_AT_ONCE):
        similarities = []
        for source, key in zip(offered, keys, strict=True):
            similarity = query[tokens] @ key.T  # (q, N)
            if source.windowed and source.leads is None:
                similarity = similarity + window[tokens]
            elif source.windowed and source.leads is not None:
                similarity = similarity + bias_around([tokens, source.leads[tokens]], grid, config)
            similarities.append(similarity)
        values, places = torch.cat(similarities, dim=1).topk(neighbours, dim=1)  # (q, k)
        weights = torch.softmax(values / config.temperature, dim=1)
        result.append(torch.einsum("qk,qkc->qc", weights, labels[places]))
    return torch.cat(result)


def window_bias(grid: tuple[int, int], config: PropagationConfig, device: torch.device) -> Tensor:
    """(N, N) float: `bias_around` the own place of every token."""
    tokens = torch.arange(grid[0] * grid[1], device=device).split(QUERIES_AT_ONCE)
    return torch.cat([bias_around([part], grid, config) for part in tokens])


def bias_around(
    centres: Sequence[Tensor], grid: tuple[int, int], config: PropagationConfig
) -> Tensor:
    """(q, N) float: what a similarity to each place gains for each of q tokens.

    Minus infinity outside all of the token's windows; inside any of them, minus the penalty of the
    squared distance from the nearest centre.

    Args:
        centres: of the windows, each (q,) places.
    """
    width = grid[1]
    halves = torch.from_numpy(half_widths(config.window, config.radius, grid)).to(centres[0])
    reach = len(halves) // 2
    places = torch.arange(grid[0] * width, device=halves.device)
    inside = torch.zeros(len(centres[0]), len(places), dtype=torch.bool, device=halves.device)
    distance2 = torch.full(inside.shape, torch.inf, device=halves.device)
    for centre in centres:
        dy = (places // width - centre[:, None] // width).abs()  # (q, N)
        dx = (places % width - centre[:, None] % width).abs()
        inside |= (dy <= reach) & (dx <= halves[(reach + dy).clamp(max=2 * reach)])
        distance2 = torch.minimum(distance2, (dy.square() + dx.square()).float())
    return torch.where(inside, -config.distance_penalty * distance2, -torch.inf)
