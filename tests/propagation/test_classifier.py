"""The classifier of a video's objects, against a least-squares fit of its own."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as functional

from vos.errors import UsageError
from vos.propagation import PropagationConfig, Propagator, preset
from vos.propagation.classifier import LEAST, RIDGE, ObjectClassifier, beside

GRID = (12, 16)
SIZE = (GRID[0] * 8, GRID[1] * 8)


def unit(*shape, seed=0):
    rows = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return functional.normalize(rows, dim=1)


def soft_labels(tokens, classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = 8 * torch.rand(tokens, classes, generator=generator)
    return (scores - 4 * torch.arange(classes)).softmax(1)  # later classes have few tokens


def least_squares(features, labels):
    """The same weights from the stacked system of weighted and ridge equations."""
    features, labels = features.double().numpy(), labels.double().numpy()
    weight = (labels / np.sqrt(labels.sum(0).clip(1))).sum(1)
    root = np.sqrt(weight / weight.sum())[:, None]
    inputs = np.hstack([features, np.ones((len(features), 1))])
    ridge = np.sqrt(RIDGE) * np.eye(inputs.shape[1])
    system = np.vstack([root * inputs, ridge])
    target = np.vstack([root * labels, np.zeros((len(ridge), labels.shape[1]))])
    return np.linalg.lstsq(system, target, rcond=None)[0]


def test_weights_are_those_of_weighted_ridge_regression():
    features, labels = unit(300, 20), soft_labels(300, 3)
    found = ObjectClassifier.fit([(features[:100], labels[:100]), (features[100:], labels[100:])])
    np.testing.assert_allclose(found.weights.numpy(), least_squares(features, labels), atol=2e-4)


def test_tokens_without_labels_are_left_out():
    features, labels = unit(80, 10), soft_labels(80, 2)
    labels[50:] = 0
    expected = ObjectClassifier.fit([(features[:50], labels[:50])])
    found = ObjectClassifier.fit([(features, labels)])
    torch.testing.assert_close(found.weights, expected.weights, atol=1e-5, rtol=1e-4)


def test_scores_are_clipped_and_of_length_one():
    weights = torch.tensor([[2.0, -1.0], [0.0, 0.25]])  # one feature, and the offsets
    scores = ObjectClassifier(weights).scores(torch.tensor([[1.0], [-1.0]]))
    expected = torch.tensor([[1 + LEAST, LEAST], [LEAST, 1 + LEAST]])
    torch.testing.assert_close(scores, functional.normalize(expected, dim=1))


def test_products_mix_both_similarities():
    features, scores = unit(6, 5), unit(6, 3, seed=1)
    joined = beside(features, scores, 0.5)
    expected = (features @ features.T + 0.5 * scores @ scores.T) / 1.5
    torch.testing.assert_close(joined @ joined.T, expected)


def clip(frames):
    """An object that differs from its background in one faint channel of many noisy ones, and
    crosses the frame faster than the window follows."""
    generator = torch.Generator().manual_seed(3)
    for t in range(frames):
        mask = np.zeros(SIZE, np.uint8)
        mask[32:64, 8 + 16 * t : 40 + 16 * t] = 7
        kind = functional.interpolate(torch.from_numpy(mask > 0)[None, None].float(), GRID)[0, 0]
        noise = torch.randn(24, *GRID, generator=generator)
        noise[0] = 1.5 * (2 * kind - 1)
        yield noise, mask


def overlap(config):
    propagator = Propagator(config, engine="reference")
    frames = list(clip(6))
    propagator.annotate(0, *frames[0])
    found = [propagator.step(t, frames[t][0]).mask(SIZE) for t in range(1, 6)]
    truths = [mask for _, mask in frames[1:]]
    return np.mean([(a & b).sum() / (a | b).sum() for a, b in zip(found, truths, strict=True)])


def test_objects_are_followed_by_what_sets_them_apart():
    config = PropagationConfig(window="circle", radius=3, recent=3, temperature=0.05)
    assert overlap(dataclasses.replace(config, classifier=4)) > overlap(config) + 0.2


def test_a_new_annotation_is_learnt_too():
    config = dataclasses.replace(preset("default"), motion="none")
    frames = list(clip(3))
    propagator = Propagator(config)
    propagator.annotate(0, *frames[0])
    propagator.step(1, frames[1][0])
    second = frames[1][1].copy()
    second[72:88, 64:112] = 9
    propagator.annotate(1, frames[1][0], second)
    anew = Propagator(config)
    anew.annotate(0, *frames[0])
    anew.annotate(1, frames[1][0], second)
    found = propagator.step(2, frames[2][0])
    assert found.ids == (7, 9)
    torch.testing.assert_close(found.labels, anew.step(2, frames[2][0]).labels)


def test_without_weight_nothing_changes():
    frames = list(clip(3))
    labels = []
    for config in (preset("crw"), dataclasses.replace(preset("crw"), classifier=0)):
        propagator = Propagator(config)
        propagator.annotate(0, *frames[0])
        labels.append(propagator.step(1, frames[1][0]).labels)
    torch.testing.assert_close(*labels, rtol=0, atol=0)


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_weights_that_make_no_sense_are_refused(weight):
    with pytest.raises(UsageError, match="classifier"):
        PropagationConfig(classifier=weight)
