"""Bounds of similarities: never below them, and close where features have few directions."""

from __future__ import annotations

import torch
from torch.nn.functional import normalize

from vos.propagation.context import ContextFrame, Source
from vos.propagation.engines.bounds import COARSE, FINE, LeadingComponents, reduced_features


def _features(tokens: int, channels: int, decay: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.arange(1, channels + 1).float() ** -decay
    return normalize(torch.randn(tokens, channels, generator=generator) * lengths, dim=1)


def test_products_of_reduced_features_bound_the_similarities() -> None:
    for decay in (0.0, 0.5, 2.0):
        found_with, other = (_features(300, 200, decay, seed) for seed in (0, 1))
        components = LeadingComponents.of(found_with)
        similarities = found_with.double() @ other.double().T
        for one, two in zip(components.reduce(found_with), components.reduce(other), strict=True):
            assert bool(((one @ two.T).double() >= similarities).all())


def test_bounds_are_close_where_features_have_few_directions() -> None:
    features = _features(400, 256, 2.0, 0)
    coarse, fine = LeadingComponents.of(features).reduce(features)
    assert (coarse.shape, fine.shape) == ((400, COARSE), (400, FINE))
    similarities = features @ features.T
    assert float((fine @ fine.T - similarities).max()) < 0.02
    assert float((coarse @ coarse.T - similarities).max()) < 0.2


def test_narrow_features_are_bounded_by_themselves() -> None:
    features = _features(50, 12, 0.5, 0)
    _, fine = LeadingComponents.of(features).reduce(features)
    assert fine.shape == (50, FINE)
    torch.testing.assert_close(fine @ fine.T, features @ features.T, atol=1e-3, rtol=0)


def test_directions_are_found_once_and_anew_after_a_cut() -> None:
    frames = [ContextFrame(i, _features(200, 128, 2.0, i), torch.ones(200, 1)) for i in range(2)]
    sources = [Source(frame, windowed=True) for frame in frames]
    reduced_features(_features(200, 128, 2.0, 2), sources)
    first = frames[0].derived["reduced"][0]
    reduced_features(_features(200, 128, 2.0, 3), sources)
    assert frames[1].derived["reduced"][0] is first
    reduced_features(_features(200, 128, 2.0, 4).flip(1), sources)
    assert frames[1].derived["reduced"][0] is not first
