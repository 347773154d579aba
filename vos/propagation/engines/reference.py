"""The propagation step written plainly: every other implementation is tested against it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vos.propagation.config import PropagationConfig
from vos.propagation.context import Source
from vos.propagation.labels import labels_to_mask
from vos.propagation.window import half_widths, in_window, squared_distance

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
    labels = torch.cat([source.frame.labels for source in sources for _ in range(source.count)])
    window = window_bias(grid, config, query.device)  # (N, N)
    neighbours = min(config.neighbours, len(labels))

    result = []
    for tokens in torch.arange(len(query), device=query.device).split(QUERIES_AT_ONCE):
        similarities = []
        for source in sources:
            similarity = query[tokens] @ source.frame.features.T  # (q, N)
            if source.windowed and source.leads is None:
                similarity = similarity + window[tokens]
            elif source.windowed and source.leads is not None:
                similarity = similarity + bias_around([tokens, source.leads[tokens]], grid, config)
            similarities += [similarity] * source.count
        values, places = torch.cat(similarities, dim=1).topk(neighbours, dim=1)  # (q, k)
        weights = torch.softmax(values / config.temperature, dim=1)
        result.append(torch.einsum("qk,qkc->qc", weights, labels[places]))
    return torch.cat(result)


def window_bias(grid: tuple[int, int], config: PropagationConfig, device: torch.device) -> Tensor:
    """Return (N, N) float: `bias_around` the own place of every token."""
    tokens = torch.arange(grid[0] * grid[1], device=device).split(QUERIES_AT_ONCE)
    return torch.cat([bias_around([part], grid, config) for part in tokens])


def bias_around(
    centres: Sequence[Tensor], grid: tuple[int, int], config: PropagationConfig
) -> Tensor:
    """Return (q, N) float: what a similarity to each place gains for each of q tokens.

    Minus infinity outside all of the token's windows; inside any of them, minus the penalty of the
    squared distance from the nearest centre.

    Args:
        centres: of the windows, each (q,) places.
    """
    width = grid[1]
    halves = torch.from_numpy(half_widths(config.window, config.radius, grid)).to(centres[0])
    places = torch.arange(grid[0] * width, device=halves.device)
    inside = [in_window(places, centre[:, None], halves, width) for centre in centres]
    distances2 = [squared_distance(places, centre[:, None], width) for centre in centres]
    bias = -config.distance_penalty * torch.stack(distances2).amin(0)
    return torch.where(torch.stack(inside).any(0), bias, -torch.inf)
