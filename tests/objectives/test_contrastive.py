"""CMC losses against the published expressions, and their bound against known information."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from vos.errors import UsageError
from vos.objectives.contrastive import (
    critic,
    critic_in_batch,
    directions,
    information_bound,
    log_partition,
    nce_loss,
    softmax_loss,
    view_pairs,
)


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(
        torch.randn(*shape, generator=generator, dtype=torch.double), dim=-1
    )


@pytest.mark.parametrize("negatives", [1, 7, 64])
@pytest.mark.parametrize("own", [False, True])
def test_nce_is_the_published_expression(negatives: int, own: bool) -> None:
    """Eq. of the source, by plain probabilities: P(D=1) = p_d / (p_d + m p_n), p_n = 1 / n."""
    batch, population, temperature = 5, 300, 0.07
    anchors, positives = unit(batch, 16), unit(batch, 16, seed=1)
    others = unit(*((batch,) if own else ()), negatives, 16, seed=2)
    scores = critic(anchors, positives, others, temperature=temperature)
    log_z = log_partition(*scores, population)

    candidates = others if own else others.expand(batch, -1, -1)
    every = torch.cat([positives[:, None], candidates], dim=1)  # the positive at index 0
    out = torch.exp(torch.einsum("bd,bkd->bk", anchors, every) / temperature)
    z = out.mean() * population
    assert float(log_z) == pytest.approx(math.log(z))
    p_data, noise = out / z, negatives / population
    of_data = p_data[:, 0] / (p_data[:, 0] + noise)
    of_noise = noise / (p_data[:, 1:] + noise)
    expected = -(of_data.log() + of_noise.log().sum(1))
    found = nce_loss(*scores, log_partition=log_z, population=population)
    torch.testing.assert_close(found, expected)


def test_softmax_is_cross_entropy_to_the_positive() -> None:
    scores = critic(unit(6, 8), unit(6, 8, seed=1), unit(6, 9, 8, seed=2))
    logits = torch.cat([scores[0][:, None], scores[1]], dim=1)
    expected = functional.cross_entropy(logits, torch.zeros(6, dtype=torch.long), reduction="none")
    torch.testing.assert_close(softmax_loss(*scores), expected)


def test_shared_negatives_are_the_same_negatives_for_each() -> None:
    anchors, positives, others = unit(4, 8), unit(4, 8, seed=1), unit(11, 8, seed=2)
    shared = critic(anchors, positives, others)
    own = critic(anchors, positives, others.expand(4, -1, -1))
    torch.testing.assert_close(shared, own)


def gradient(loss: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    return torch.autograd.grad(loss.mean(), anchors)[0]


def test_the_gradient_of_drawn_negatives_tends_to_info_nce() -> None:
    """With more negatives drawn from a population, the gradient nears that of all of them."""
    population = unit(2000, 8, seed=3)
    anchors, positives = unit(3, 8).requires_grad_(), unit(3, 8, seed=1)
    drawn = torch.Generator().manual_seed(0)

    def distance(k: int, repeats: int = 30) -> float:
        exact = gradient(softmax_loss(*critic(anchors, positives, population)), anchors)
        gaps = []
        for _ in range(repeats):
            chosen = population[torch.randint(2000, (k,), generator=drawn)]
            positive, negative = critic(anchors, positives, chosen)
            # k of n stand for all: the same softmax, with each of them counted n / k times
            negative = negative + math.log(2000 / k)
            gap = gradient(softmax_loss(positive, negative), anchors) - exact
            gaps.append(gap.norm() / exact.norm())
        return float(torch.stack(gaps).mean())

    distances = [distance(k) for k in (20, 200, 2000)]
    assert distances[0] > 2 * distances[1] > 4 * distances[2]
    assert distances[2] < 0.1


def test_in_batch_softmax_is_info_nce_of_the_batch() -> None:
    one, two = unit(6, 8), unit(6, 8, seed=1)
    ids = torch.arange(6)
    scores = critic_in_batch(one, two, ids, ids, ids, temperature=0.1)
    expected = functional.cross_entropy(one @ two.T / 0.1, ids, reduction="none")
    torch.testing.assert_close(softmax_loss(*scores), expected)


def test_the_gradient_of_nce_tends_to_that_of_the_full_softmax() -> None:
    """With the exact Z and ever more noise, NCE learns what maximum likelihood would."""
    population = unit(40, 6, seed=3)
    anchors, positives = unit(1, 6).requires_grad_(), population[:1]
    everything = anchors @ population.T / 0.5
    exact = gradient(everything.logsumexp(1) - everything[:, 0], anchors)
    log_z = everything.detach().logsumexp(1)
    gaps = []
    for rounds in (1, 10, 1000):  # every scene as noise so many times: the expectation over noise
        noise = population.repeat(rounds, 1)
        scores = critic(anchors, positives, noise, temperature=0.5)
        found = nce_loss(*scores, log_partition=log_z, population=40)
        gaps.append(float((gradient(found, anchors) - exact).norm() / exact.norm()))
    assert gaps[0] > 4 * gaps[1] > 16 * gaps[2]
    assert gaps[2] < 2e-3


def test_full_graph_with_two_views_is_the_symmetric_loss() -> None:
    assert directions("full", 2) == directions("core", 2) == [(0, 1), (1, 0)]
    assert view_pairs("core", 4) == [(0, 1), (0, 2), (0, 3)]
    assert len(view_pairs("full", 5)) == 10
    assert directions("full", 1) == [(0, 0)]
    with pytest.raises(UsageError, match="did you mean full"):
        view_pairs("ful", 2)


@pytest.mark.parametrize(("correlation", "dims"), [(0.5, 1), (0.8, 2), (0.95, 4)])
@pytest.mark.parametrize("k", [15, 255])
def test_the_bound_is_below_the_information_of_gaussians(
    correlation: float, dims: int, k: int
) -> None:
    """x, y standard normal with correlation r a channel: I(x; y) = -dims / 2 log(1 - r²).

    The best critic is the density ratio, whose logarithm is a dot product of
    (-r² x² / (2 (1 - r²)), 1, r x / (1 - r²)) and (1, -r² y² / (2 (1 - r²)), y).
    """
    generator = torch.Generator().manual_seed(0)
    samples = 4000
    x = torch.randn(samples, dims, generator=generator, dtype=torch.double)
    noise = torch.randn(samples, dims, generator=generator, dtype=torch.double)
    y = correlation * x + math.sqrt(1 - correlation**2) * noise
    other = torch.randn(samples, k, dims, generator=generator, dtype=torch.double)
    rest = 1 - correlation**2

    def candidate(value: torch.Tensor) -> torch.Tensor:
        square = -(correlation**2) * value**2 / (2 * rest)
        return torch.cat([torch.ones_like(value), square, value], dim=-1)

    square = -(correlation**2) * x**2 / (2 * rest)
    anchors = torch.cat([square, torch.ones_like(x), correlation * x / rest], dim=-1)
    scores = critic(anchors, candidate(y), candidate(other), temperature=1.0)
    information = -dims / 2 * math.log(rest)
    bound = float(information_bound(*scores))
    assert bound < information
    assert bound < math.log(k)
    if k == 255 and information < 1.5:
        assert bound > 0.9 * information - 0.01  # tight where log k is well above
    worse = critic(anchors + 0.5, candidate(y), candidate(other), temperature=1.0)
    assert float(information_bound(*worse)) < bound  # any other critic gives less


def test_scenes_of_the_batch_that_are_there_twice_are_no_negatives() -> None:
    one, two = unit(3, 4), unit(3, 4, seed=1)
    ids = torch.tensor([5, 9, 5])
    positive, negative = critic_in_batch(one, two, ids, ids, torch.arange(3))
    assert negative.isinf().tolist() == [
        [True, False, True],
        [False, True, False],
        [True, False, True],
    ]
    one.requires_grad_()
    scores = critic_in_batch(one, two, ids, ids, torch.arange(3))
    loss = softmax_loss(*scores) + nce_loss(*scores, log_partition=3.0, population=20)
    assert gradient(loss, one).isfinite().all()
    expected = torch.cat([negative[negative.isfinite()], positive]).exp().mean() * 20
    assert float(log_partition(positive, negative, 20)) == pytest.approx(math.log(expected))


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="temperature"):
        critic(unit(2, 4), unit(2, 4), unit(3, 4), temperature=0)
    with pytest.raises(UsageError, match="must be"):
        critic(unit(2, 4), unit(2, 4), unit(3, 5))
