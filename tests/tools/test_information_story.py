"""The bound stays below what is known, and the core view discards what it does not share."""

from __future__ import annotations

import math

import pytest
import torch
from information_story import bound, log_ratio, r_squared, three_views


def test_the_bound_is_below_information_and_log_k_and_reaches_the_former() -> None:
    found = {k: bound(2.0, k) for k in (16, 512)}
    assert found[16] < math.log(16)
    assert found[16] < found[512] < 2.1
    assert found[512] == pytest.approx(2.0, abs=0.1)


def test_the_critic_is_the_ratio_of_densities() -> None:
    one, two, correlation = torch.randn(5, 3), torch.randn(5, 3), 0.6
    given = torch.distributions.Normal(correlation * one, math.sqrt(1 - correlation**2))
    alone = torch.distributions.Normal(0.0, 1.0)
    expected = (given.log_prob(two) - alone.log_prob(two)).sum(1)
    torch.testing.assert_close(log_ratio(one, two, correlation), expected)


@pytest.mark.slow
def test_the_core_view_discards_what_the_others_share() -> None:
    core, full = (three_views(graph, 8, steps=80, seed=0) for graph in ("core", "full"))
    for view in (1, 2):
        assert core[view]["in 2 and 3"] < 0.1
        assert full[view]["in 2 and 3"] > 0.3
    assert min(run[view]["in all"] for run in (core, full) for view in range(3)) > 0.8


def test_what_neighbours_explain() -> None:
    places = torch.linspace(0, 1, 200)[:, None]
    directions = torch.cat([places.cos(), places.sin()], 1)
    assert r_squared((directions, places), (directions, places)) > 0.99
    assert math.isnan(r_squared((directions, None), (directions, None)))
