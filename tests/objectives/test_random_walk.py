"""The contrastive random walk against the chain of products written out."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from vos.errors import UsageError
from vos.objectives import random_walk, random_walk_loss


def clips(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def written_formula(features: torch.Tensor, temperature: float) -> torch.Tensor:
    """log diag of the palindrome's chain of softmaxes, one clip, by explicit loops."""
    count, nodes, _ = features.shape
    found = torch.empty(count - 1, nodes, dtype=features.dtype)
    for turn in range(1, count):
        frames = [*range(turn + 1), *reversed(range(turn))]
        chain = torch.eye(nodes, dtype=features.dtype)
        for here, following in itertools.pairwise(frames):
            step = torch.empty(nodes, nodes, dtype=features.dtype)
            for i in range(nodes):
                for j in range(nodes):
                    step[i, j] = torch.cosine_similarity(
                        features[here, i], features[following, j], dim=0
                    )
            chain = chain @ (step / temperature).softmax(1)
        found[turn - 1] = chain.diagonal().log()
    return found


@pytest.mark.parametrize("temperature", [0.05, 0.3])
@pytest.mark.parametrize(("frames", "nodes"), [(2, 5), (4, 3), (5, 1)])
def test_is_the_written_formula(frames, nodes, temperature):
    features = clips(2, frames, nodes, 6)
    expected = torch.stack([written_formula(clip, temperature) for clip in features])
    found = random_walk(features, temperature=temperature, edge_dropout=0.0)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(
        random_walk_loss(features, temperature=temperature, edge_dropout=0.0), -expected.mean()
    )


def test_no_difference_between_nodes_is_chance():
    features = torch.ones(1, 3, 8, 4)
    assert random_walk_loss(features, edge_dropout=0.0).item() == pytest.approx(math.log(8))


def test_gradient():
    features = clips(1, 3, 4, 5).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: random_walk(x, temperature=0.2, edge_dropout=0.0), features
    )


def test_edge_dropout_leaves_edges_out_at_its_rate():
    # Two frames of nodes that only match themselves: a walk fails when its own edge is lost.
    features = torch.eye(200).expand(1, 2, 200, 200)
    generator = torch.Generator().manual_seed(0)
    found = random_walk(features, edge_dropout=0.2, generator=generator).exp()
    assert (found > 0.99).float().mean().item() == pytest.approx(0.8**2, abs=0.08)
    again = random_walk(features, edge_dropout=0.2, generator=generator.manual_seed(0)).exp()
    assert torch.equal(found, again)


def test_nodes_without_edges_stay_finite():
    features = clips(1, 4, 2, 3).requires_grad_()
    loss = random_walk_loss(features, edge_dropout=0.9, generator=torch.Generator().manual_seed(0))
    loss.backward()
    assert loss.isfinite()
    assert features.grad.isfinite().all()


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((2, 1, 4, 3), {}),
        ((2, 4, 3), {}),
        ((1, 2, 4, 3), {"temperature": 0}),
        ((1, 2, 4, 3), {"edge_dropout": 1}),
    ],
)
def test_what_makes_no_sense_is_refused(shape, options):
    with pytest.raises(UsageError):
        random_walk(torch.zeros(shape), **options)
