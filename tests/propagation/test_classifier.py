"""The classifier of a video's objects, against a least-squares fit of its own."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as functional

from vos.errors import UsageError
from vos.propagation import PropagationConfig, Propagator, preset
from vos.propagation.classifier import LEAST, RIDGE, Examples, ObjectClassifier, beside

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
    found = ObjectClassifier.fit(Examples.of(features, labels))
    np.testing.assert_allclose(found.weights.numpy(), least_squares(features, labels), atol=2e-4)


def test_a_share_of_examples_is_that_share_of_all_weights():
    """Two groups, of 3 and 1 parts: as if the tokens of one had been given three times."""
    features, labels = unit(50, 6), soft_labels(50, 2)
    others, other_labels = unit(50, 6, seed=1), soft_labels(50, 2, seed=1)
    found = Examples.of(features, labels).mixed(Examples.of(others, other_labels), 0.25)
    weights = []
    for part in (labels, other_labels):
        weight = (part / part.sum(0).clip(1).sqrt()).sum(1)
        weights.append(weight / weight.sum())
    weight = torch.cat([0.75 * weights[0], 0.25 * weights[1]])[:, None]
    inputs = functional.pad(torch.cat([features, others]), (0, 1), value=1.0)
    targets = torch.cat([labels, other_labels])
    torch.testing.assert_close(found.inputs, inputs.T @ (weight * inputs))
    torch.testing.assert_close(found.labels, inputs.T @ (weight * targets))


def test_tokens_without_labels_are_left_out():
    features, labels = unit(80, 10), soft_labels(80, 2)
    labels[50:] = 0
    expected = ObjectClassifier.fit(Examples.of(features[:50], labels[:50]))
    found = ObjectClassifier.fit(Examples.of(features, labels))
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


def changing_clip(frames):
    """An object known by one channel at first, which another one takes over bit by bit; halfway a
    part of the background has what the object had at first."""
    generator = torch.Generator().manual_seed(4)
    for t in range(frames):
        mask = np.zeros(SIZE, np.uint8)
        mask[32:64, 40:80] = 7
        kind = functional.interpolate(torch.from_numpy(mask > 0)[None, None].float(), GRID)[0, 0]
        features = 0.3 * torch.randn(24, *GRID, generator=generator)
        late = min(1.0, t / (frames - 8))
        features[0] += 1.5 * (1 - late) * kind
        features[1] += 1.5 * late * kind
        if t > frames // 2:
            features[0, :, -3:] += 1.5
        yield features, mask


def test_what_an_object_becomes_is_learnt_and_what_it_was_forgotten_by_half():
    def score(recent):
        config = PropagationConfig(
            window="circle",
            radius=2,
            recent=3,
            annotated_in_window=True,
            classifier=0.5,
            classifier_recent=recent,
        )
        propagator = Propagator(config, engine="reference")
        frames = list(changing_clip(32))
        propagator.annotate(0, *frames[0])
        for t in range(1, 32):
            propagator.step(t, frames[t][0])
        features, _ = frames[-1]
        rows = functional.normalize(features.flatten(1).T, dim=1)
        scores = propagator._classifier.scores(rows)[:, 1].reshape(GRID)
        return scores[4:8, 5:10].mean() - scores[:, -3:].mean()

    assert score(0.5) > score(0) + 0.5


def test_learning_from_frames_is_what_the_settings_say():
    """Every fourth frame, each half of the next, and three times the annotated one: plainly."""
    config = dataclasses.replace(preset("default"), motion="none")
    frames = list(clip(6)) + list(clip(6))[:4]
    propagator = Propagator(config)
    rows = [functional.normalize(f.flatten(1).T, dim=1) for f, _ in frames]
    labels = [propagator.annotate(0, *frames[0]).labels]
    labels += [propagator.step(t, frames[t][0]).labels for t in range(1, 10)]
    first, fourth, eighth = (Examples.of(rows[t], labels[t]) for t in (0, 4, 8))
    expected = Examples(
        3 / 4 * first.inputs + fourth.inputs / 8 + eighth.inputs / 8,
        3 / 4 * first.labels + fourth.labels / 8 + eighth.labels / 8,
    )
    found = propagator._classifier
    torch.testing.assert_close(found.weights, ObjectClassifier.fit(expected).weights)


def test_a_correction_forgets_what_was_learnt_from_frames():
    frames = list(clip(6))
    propagator = Propagator(preset("default"))
    propagator.annotate(0, *frames[0])
    for t in range(1, 6):
        propagator.step(t, frames[t][0])
    propagator.annotate(5, *frames[5])
    anew = Propagator(preset("default"))
    anew.annotate(0, *frames[0])
    anew.annotate(5, *frames[5])
    for t in range(1, 5):  # what is found from here on is all that is learnt
        propagator.step(5 + t, frames[5 - t][0])
        anew.step(5 + t, frames[5 - t][0])
        torch.testing.assert_close(propagator._classifier.weights, anew._classifier.weights)


def test_without_weight_nothing_changes():
    frames = list(clip(3))
    labels = []
    for config in (preset("crw"), dataclasses.replace(preset("crw"), classifier=0)):
        propagator = Propagator(config)
        propagator.annotate(0, *frames[0])
        labels.append(propagator.step(1, frames[1][0]).labels)
    torch.testing.assert_close(*labels, rtol=0, atol=0)


@pytest.mark.parametrize("share", [-0.1, 1, float("nan")])
def test_a_share_of_recent_frames_leaves_room_for_the_annotated(share):
    with pytest.raises(UsageError, match="classifier_recent"):
        PropagationConfig(classifier_recent=share)


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_weights_that_make_no_sense_are_refused(weight):
    with pytest.raises(UsageError, match="classifier"):
        PropagationConfig(classifier=weight)
