"""Inverse consistency against the formula as it is written, in float64."""

from __future__ import annotations

import pytest
import torch

from vos.errors import UsageError
from vos.objectives import (
    RoundTrip,
    Sphere,
    all_ways_loss,
    cycle_accuracy,
    inverse_consistency_dense,
    inverse_consistency_loss,
    tokens,
)


def features(batch: int, n: int, m: int, channels: int, radius: float, *, seed: int = 0):
    """Four sets of float64 features of the given length."""
    generator = torch.Generator().manual_seed(seed)
    sets = [
        torch.randn(batch, count, channels, generator=generator, dtype=torch.float64)
        for count in (n, m, n, m)
    ]
    return [radius * torch.nn.functional.normalize(x, dim=2) for x in sets]


def written_formula(a_row, b_row, a_col, b_col):
    """log diag(softmax_row(h) @ softmax_col(v)ᵀ), the formula of the source, one sample."""
    there = (a_row @ b_row.T).softmax(1)
    back = (a_col @ b_col.T).softmax(0)
    return (there @ back.T).diagonal().log()


@pytest.mark.parametrize("radius", [1.0, 4.0, 12.0])
@pytest.mark.parametrize(("n", "m"), [(7, 7), (13, 5), (1, 9)])
def test_dense_is_the_written_formula(n, m, radius):
    sets = features(3, n, m, 6, radius)
    expected = torch.stack([written_formula(*sample) for sample in zip(*sets, strict=True)])
    torch.testing.assert_close(
        inverse_consistency_dense(RoundTrip(*sets)), expected, rtol=1e-9, atol=1e-12
    )


def test_left_out_tokens_are_as_if_they_were_not_there():
    sets = [x.requires_grad_() for x in features(1, 9, 8, 5, 3.0)]
    a_valid = torch.arange(9)[None] % 3 != 0
    b_valid = torch.arange(8)[None] % 4 != 1
    a, b = a_valid[0], b_valid[0]
    found = inverse_consistency_dense(RoundTrip(*sets, a_valid, b_valid))
    kept = [sets[0][0, a], sets[1][0, b], sets[2][0, a], sets[3][0, b]]
    torch.testing.assert_close(found[0, a], written_formula(*kept))
    assert (found[0, ~a] == 0).all()
    found.sum().backward()
    for x, valid in zip(sets, (a, b, a, b), strict=True):
        assert x.grad.isfinite().all()
        assert (x.grad[0, ~valid] == 0).all()
        assert (x.grad[0, valid] != 0).any()


def test_nothing_valid_is_no_loss_and_no_gradient():
    sets = [x.requires_grad_() for x in features(2, 4, 4, 3, 2.0)]
    none = torch.zeros(2, 4, dtype=torch.bool)
    for masks in ({"a_valid": none}, {"b_valid": none}):
        loss = inverse_consistency_loss(RoundTrip(*sets, **masks))
        loss.backward()
        assert loss == 0
        assert all((x.grad == 0).all() for x in sets)


def test_loss_is_the_mean_over_samples_of_the_weighted_mean_over_tokens():
    trip = RoundTrip(*features(2, 6, 5, 4, 2.0))
    weights = torch.rand(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    log_p = inverse_consistency_dense(trip)
    means = [-(w * p).sum() / w.sum() for w, p in zip(weights, log_p, strict=True)]
    torch.testing.assert_close(
        inverse_consistency_loss(trip, weights=weights), (means[0] + means[1]) / 2
    )
    torch.testing.assert_close(inverse_consistency_loss(trip), -log_p.mean())


def test_loss_of_a_batch_is_the_mean_of_its_samples_where_few_tokens_count_too():
    sets = features(2, 6, 5, 4, 2.0)
    valid = torch.tensor([[True] * 6, [True, True, False, False, False, False]])
    whole = inverse_consistency_loss(RoundTrip(*sets, a_valid=valid))
    parts = [
        inverse_consistency_loss(RoundTrip(*(x[i : i + 1] for x in sets), valid[i : i + 1]))
        for i in range(2)
    ]
    torch.testing.assert_close(whole, (parts[0] + parts[1]) / 2)


@pytest.mark.parametrize("floor", [1e-4, 0.05])
def test_the_floor_is_added_to_the_probability(floor):
    trip = RoundTrip(*(x.requires_grad_() for x in features(2, 9, 8, 5, 6.0)))
    probability = inverse_consistency_dense(trip).exp()
    torch.testing.assert_close(
        inverse_consistency_dense(trip, floor=floor), (floor + probability).log()
    )
    expected = torch.autograd.grad((floor + probability).log().sum(), trip.features())
    found = torch.autograd.grad(inverse_consistency_dense(trip, floor=floor).sum(), trip.features())
    torch.testing.assert_close(found, expected)


def test_the_floor_of_tokens_left_out_is_nothing():
    valid = torch.arange(9)[None] % 3 != 0
    trip = RoundTrip(*features(1, 9, 8, 5, 6.0), valid)
    assert (inverse_consistency_dense(trip, floor=1e-4)[0, ~valid[0]] == 0).all()
    with pytest.raises(UsageError, match="between 0 and 1"):
        inverse_consistency_dense(trip, floor=-1e-4)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("floor", [0.0, 1e-4])
@pytest.mark.parametrize("radius", [3.0, 12.0])
def test_all_ways_are_the_mean_of_the_eight_trips(radius, floor, whole, monkeypatch):
    if not whole:
        monkeypatch.setattr("vos.objectives.icon.ALL_WAYS_DENSE_UP_TO", 0)
    generator = torch.Generator().manual_seed(3)
    masks = [torch.rand(3, count, generator=generator) < 0.7 for count in (9, 8)]
    masks[1][2] = False  # a sample that leads nowhere
    sets = [x.requires_grad_() for x in features(3, 9, 8, 5, radius)]
    for trip in (RoundTrip(*sets), RoundTrip(*sets, *masks)):
        a_one, b_one, a_two, b_two = sets
        ways = [
            trip._replace(a_row=a, a_col=other_a, b_row=b, b_col=other_b)
            for a, other_a in ((a_one, a_two), (a_two, a_one))
            for b, other_b in ((b_one, b_two), (b_two, b_one))
        ]
        ways += [way.reversed() for way in ways]
        expected = sum(inverse_consistency_loss(way, floor=floor) for way in ways) / 8
        found = all_ways_loss(trip, floor=floor)
        torch.testing.assert_close(found, expected)
        gradients = (torch.autograd.grad(loss, sets) for loss in (found, expected))
        torch.testing.assert_close(*gradients)


def test_a_floor_that_is_no_probability_is_refused_for_all_ways_too():
    with pytest.raises(UsageError, match="between 0 and 1"):
        all_ways_loss(RoundTrip(*features(1, 4, 4, 3, 2.0)), floor=2)


def test_sphere_sets_the_length_and_learns_its_radius():
    sphere = Sphere()
    feature_map = torch.randn(2, 8, 3, 5, generator=torch.Generator().manual_seed(0))
    mapped = sphere(feature_map)
    torch.testing.assert_close(mapped.norm(dim=1), torch.full((2, 3, 5), 12.0))
    mapped.sum().backward()
    assert sphere.radius.grad is not None
    assert tokens(mapped).shape == (2, 15, 8)
    torch.testing.assert_close(tokens(mapped)[1, 7], mapped[1, :, 1, 2])


def test_cycle_accuracy_counts_round_trips():
    eye = torch.eye(12)[None]
    assert cycle_accuracy(RoundTrip(eye, eye, eye, eye), grid=(3, 4)) == 1
    shifted = eye.roll(1, 1)  # every token comes back one place to the side
    assert cycle_accuracy(RoundTrip(eye, eye, shifted, eye), grid=(3, 4)) == 0
    assert cycle_accuracy(RoundTrip(eye, eye, shifted, eye), grid=(3, 4), distance=1) == 0.75
    half = torch.arange(12)[None] < 6
    assert cycle_accuracy(RoundTrip(eye, eye, eye, eye, b_valid=half), grid=(3, 4)) == 0.5
    assert cycle_accuracy(RoundTrip(eye, eye, eye, eye, half, half), grid=(3, 4)) == 1


def test_shapes_that_do_not_fit_are_named():
    a, b = torch.zeros(1, 4, 3), torch.zeros(1, 5, 3)
    with pytest.raises(UsageError, match=r"\(1, 4, 3\), \(1, 5, 3\), \(1, 5, 3\)"):
        inverse_consistency_dense(RoundTrip(a, b, b, b))
    with pytest.raises(UsageError, match="a_valid must be bool"):
        inverse_consistency_dense(RoundTrip(a, b, a, b, torch.ones(1, 4)))
