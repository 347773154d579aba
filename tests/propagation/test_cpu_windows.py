"""The compiled loops of windows against plain formulas: no place at the rim is missed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from vos.propagation.engines import cpu_windows
from vos.propagation.engines.array_table import array_table
from vos.propagation.engines.bounds import LeadingComponents
from vos.propagation.window import half_widths, in_window, squared_distance

GRID = (21, 30)
N = GRID[0] * GRID[1]
PENALTY = 0.002


def levels(features, components):
    reduced = components.reduce(features)
    return reduced.coarse.numpy(), reduced.fine.numpy(), features.numpy()


def leads(moves, generator):
    """(N,) where the flow leads to: one's own place, three rows and columns away, anywhere."""
    row, column = torch.arange(N) // GRID[1], torch.arange(N) % GRID[1]
    away = (row + 3).clamp(max=GRID[0] - 1) * GRID[1] + (column - 3).clamp(min=0)
    anywhere = torch.randint(0, N, (N,), generator=generator)
    return {"not": torch.arange(N), "together": away, "apart": anywhere}[moves]


@pytest.mark.parametrize("moves", ["not", "together", "apart"])
@pytest.mark.parametrize("shape", ["circle", "square"])
def test_tokens_are_rivalled_by_the_best_place_of_another_class_and_by_no_less(shape, moves):
    generator = torch.Generator().manual_seed(0)
    query, key = functional.normalize(torch.randn(2, N, 40, generator=generator), dim=2)
    components = LeadingComponents.of(query)
    classes = torch.randint(-1, 2, (N,), generator=generator).int()
    own, lead = torch.arange(N), leads(moves, generator)
    halves = half_widths(shape, 4, GRID)

    inside, distance = torch.zeros(N, N, dtype=torch.bool), torch.full((N, N), torch.inf)
    for centres in (own, lead):
        there = own[None], centres[:, None]
        inside |= in_window(*there, torch.from_numpy(halves), GRID[1])
        distance = torch.minimum(distance, squared_distance(*there, GRID[1]))
    values = query @ key.T - PENALTY * distance
    best = torch.where(inside & (classes != 1), values, -torch.inf).amax(1)

    held = levels(key, components)
    windows = (
        levels(query, components),
        tuple(array_table([level]) for level in held),
        1,
        np.ones(1, np.int64),
        array_table([lead.numpy()]),
        GRID,
        halves,
        np.float32(PENALTY),
    )
    found, firsts = cpu_windows.runs_of_others(classes.numpy(), 1, GRID[1])
    runs = found, firsts[None]
    rows, columns = own // GRID[1] // cpu_windows.TILE, own % GRID[1] // cpu_windows.TILE
    tokens = torch.argsort(rows * GRID[1] + columns, stable=True).numpy()
    for margin, rivalled in ((-1e-4, True), (1e-4, False)):
        marked = np.zeros(N, bool)
        cpu_windows.mark_rivalled(tokens, windows, runs, (best + margin).numpy(), marked)
        assert (marked == rivalled).all()
