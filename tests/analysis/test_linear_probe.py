"""Probes: they find what is there, nothing where nothing is, and choose their penalty."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from vos.analysis.probe import linear_probe, nearest_neighbours
from vos.errors import UsageError

Part = tuple[torch.Tensor, torch.Tensor]


def blobs(count: int, spread: float, *, seed: int, dims: int = 6, classes: int = 4) -> Part:
    """Gaussian blobs around one corner of a simplex a class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    noise = spread * torch.randn(count, dims, generator=generator)
    return functional.one_hot(labels, dims).float() + noise, labels


def test_separable_classes_are_found() -> None:
    train, test = blobs(400, 0.1, seed=0), blobs(200, 0.1, seed=1)
    found = linear_probe(train, test)
    assert found.accuracy == found.train_accuracy == 1
    assert nearest_neighbours(train, test) == 1


def test_the_accuracy_is_that_of_the_best_classifier() -> None:
    """Two blobs: the best linear rule is right with probability Phi(distance / 2 sigma)."""
    train, test = (blobs(20_000, 1.0, seed=s, dims=2, classes=2) for s in (0, 1))
    best = 0.5 * (1 + math.erf(math.sqrt(2) / 2 / math.sqrt(2)))
    assert linear_probe(train, test).accuracy == pytest.approx(best, abs=0.01)


def test_features_that_know_nothing_are_at_chance() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1200, 8, generator=generator)
    labels = torch.arange(1200) % 4
    train, test = (noise[:800], labels[:800]), (noise[800:], labels[800:])
    assert linear_probe(train, test).accuracy == pytest.approx(0.25, abs=0.07)
    assert nearest_neighbours(train, test) == pytest.approx(0.25, abs=0.07)


def test_the_penalty_is_chosen_where_features_are_many_and_images_few() -> None:
    train, test = (blobs(n, 0.6, seed=n, dims=400) for n in (600, 2000))
    chosen = linear_probe(train, test, strengths=(1e-6, 1.0))
    loose = linear_probe(train, test, strengths=(1e-6,))
    assert (chosen.strength, loose.strength) == (1.0, 1e-6)
    assert chosen.accuracy > loose.accuracy


def test_scale_and_offset_of_features_do_not_matter() -> None:
    (features, labels), test = blobs(300, 0.6, seed=0), blobs(300, 0.6, seed=1)
    plain = linear_probe((features, labels), test)
    moved = linear_probe((100 * features + 7, labels), (100 * test[0] + 7, test[1]))
    assert plain.accuracy == pytest.approx(moved.accuracy, abs=0.01)


def test_neighbours_vote_by_nearness() -> None:
    """One near neighbour of class 1 outvotes two far ones of class 0."""
    angles = torch.tensor([0.1, 1.2, 1.3])
    train = (torch.stack([angles.cos(), angles.sin()], 1), torch.tensor([1, 0, 0]))
    test = (torch.tensor([[1.0, 0.0]]), torch.tensor([1]))
    assert nearest_neighbours(train, test, neighbours=3) == 1
    assert nearest_neighbours(train, test, neighbours=3, temperature=100.0) == 0


def test_mistakes() -> None:
    train = blobs(20, 0.1, seed=0)
    with pytest.raises(UsageError, match="two classes"):
        linear_probe((train[0], torch.zeros(20).long()), (train[0], torch.zeros(20).long()))
    with pytest.raises(UsageError, match="must be"):
        linear_probe((train[0][:5], train[1]), train)
    with pytest.raises(UsageError, match="at least 1"):
        nearest_neighbours(train, train, neighbours=0)
