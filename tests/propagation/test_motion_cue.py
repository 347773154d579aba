"""Motion as a second witness, against formulas of its own."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as functional

from vos.propagation import PropagationConfig, Propagator
from vos.propagation.classifier import LEAST
from vos.propagation.classifier import RIDGE as LOOKS_RIDGE
from vos.propagation.motion_cue import RIDGE, MotionCue, foretold_share, motion_waves

GRID = (10, 14)
SIZE = (GRID[0] * 8, GRID[1] * 8)
TOKENS = GRID[0] * GRID[1]


def random_labels(seed, classes=3):
    generator = torch.Generator().manual_seed(seed)
    return (6 * torch.rand(TOKENS, classes, generator=generator)).softmax(1)


def random_motion(seed, size=1.0):
    return size * torch.randn(TOKENS, 2, generator=torch.Generator().manual_seed(seed))


def weights_of(labels):
    weights = (labels / labels.sum(0).clamp(min=1) ** 0.5).sum(1)
    return (weights / weights.sum())[:, None].double()


def regression(inputs, labels, ridge):
    """Return the function that a weighted ridge regression with offsets finds."""
    weights = weights_of(labels)
    known = torch.cat([inputs, torch.ones(len(inputs), 1)], 1).double()
    moments = known.T @ (weights * known) + ridge * torch.eye(known.shape[1])
    solution = torch.linalg.inv(moments) @ known.T @ (weights * labels.double())
    return lambda others: torch.cat([others, torch.ones(len(others), 1)], 1).double() @ solution


def share_foretold(foretold, labels):
    weights = weights_of(labels)
    mean = (weights * labels).sum(0)
    missed = (weights * (foretold - labels) ** 2).sum(0)
    return (1 - missed / (weights * (labels - mean) ** 2).sum(0)).clamp(0, 1)


def range_around(values):
    found = torch.empty_like(values)
    for y, x in np.ndindex(*GRID):
        ys, xs = range(max(0, y - 1), y + 2), range(max(0, x - 1), x + 2)
        near = [values[a * GRID[1] + b] for a in ys for b in xs if a < GRID[0] and b < GRID[1]]
        found[y * GRID[1] + x] = torch.stack(near).amax(0) - torch.stack(near).amin(0)
    return found


def test_waves_have_length_one_and_tell_slow_and_fast_motions_apart():
    slow = torch.tensor([[0.0, 0.0], [0.0, 0.1]])
    fast = torch.tensor([[0.0, 5.0], [0.0, 7.0]])
    for two in (slow, fast):
        waves = motion_waves(two)
        torch.testing.assert_close(waves.norm(dim=1), torch.ones(2))
        assert float(waves[0] @ waves[1]) < 0.7


def test_the_share_foretold_is_the_coefficient_of_determination():
    labels = random_labels(0)
    near = labels + 0.1 * random_labels(1)
    torch.testing.assert_close(foretold_share(near, labels).double(), share_foretold(near, labels))
    assert foretold_share(labels, labels).tolist() == [1, 1, 1]
    assert foretold_share(random_labels(2), labels).tolist() == [0, 0, 0]


def test_a_cue_counts_as_far_as_the_one_before_was_right():
    labels = random_labels(0)
    moving = motion_waves(torch.stack([labels[:, 1] - labels[:, 2], labels[:, 0]], 1))
    first = MotionCue.of(moving, labels, None)
    assert first.factors(moving, GRID).unique().tolist() == [0.5]
    second = MotionCue.of(moving, labels, first)
    assert (second.trust > 0.5).all()
    other = motion_waves(random_motion(4))
    said = second.classifier.foretell(other).clamp(0, 1)
    trust = second.trust * (1 - range_around(said))
    torch.testing.assert_close(second.factors(other, GRID), trust * said + (1 - trust) * 0.5)
    chance = motion_waves(random_motion(5))
    assert MotionCue.of(chance, random_labels(6), second).trust.max() == 0


def test_where_nothing_moves_nothing_is_said():
    still = torch.zeros(TOKENS, 2)
    cue = MotionCue.of(still, random_labels(0), MotionCue.of(still, random_labels(1), None))
    assert cue.factors(still, GRID).unique().tolist() == [0.5]


CONFIG = PropagationConfig(
    window="everywhere",
    recent=3,
    early="skip",
    motion="flow",
    classifier=0.5,
    classifier_motion=True,
    temperature=0.1,
)


def moving_clip(frames):
    """An object that looks much like the background and moves over it: features, flow, mask."""
    generator = torch.Generator().manual_seed(1)
    for t in range(frames):
        mask = np.zeros(SIZE, np.uint8)
        mask[24:64, 8 + 4 * t : 48 + 4 * t] = 5
        features = torch.randn(24, *GRID, generator=generator)
        features[0] += torch.from_numpy(1.0 * (mask[4::8, 4::8] == 5))
        flow = np.zeros((*SIZE, 2), np.float32)
        flow[mask == 5] = (-4, 0)
        flow += np.random.RandomState(t).normal(0, 0.3, flow.shape)
        yield features, flow, mask


def rows_of(features):
    return functional.normalize(features.flatten(1).T, dim=1)


def test_scores_of_looks_are_multiplied_by_what_motion_says():
    """The whole protocol once more, written plainly; votes are taken from all places."""
    clip = list(moving_clip(6))
    propagator = Propagator(CONFIG, engine="reference")
    start = propagator.annotate(0, clip[0][0], clip[0][2])
    labels = [start.labels]
    looks = regression(rows_of(clip[0][0]), start.labels, LOOKS_RIDGE)
    told, trust, rows = None, None, []
    for t, (features, flow, _) in enumerate(clip):
        learnt = rows_of(features)
        pooled = torch.from_numpy(flow).reshape(GRID[0], 8, GRID[1], 8, 2).mean((1, 3)) / 8
        waves = motion_waves(pooled.flip(-1).reshape(-1, 2))
        scores = looks(learnt).clamp(0, 1) + LEAST
        if trust is not None:
            said = told(waves).clamp(0, 1)
            here = trust * (1 - range_around(said))
            scores = scores * (here * said + (1 - here) / 2)
        scores = functional.normalize(scores, dim=1).float()
        rows.append(torch.cat([learnt, 0.5**0.5 * scores], 1) / 1.5**0.5)
        if t == 0:
            continue
        context = [0, *range(max(1, t - 3), t)]
        similarity = torch.cat([rows[s] @ rows[t].T for s in context]) / 0.1
        values, places = similarity.topk(10, dim=0)
        values_of = torch.cat([labels[s] for s in context])[places]
        labels.append((values.softmax(0)[..., None] * values_of).sum(0))
        found = propagator.step(t, features, flow).labels
        torch.testing.assert_close(found, labels[t], rtol=1e-3, atol=1e-3)
        if told is not None:
            trust = share_foretold(told(waves), labels[t])
        told = regression(waves, labels[t], RIDGE)


def overlaps_of_fading_object(config):
    """IoU in each frame in which an object has lost half of what set it apart."""
    generator = torch.Generator().manual_seed(3)
    world, own = torch.randn(24, *GRID, generator=generator), torch.randn(24, generator=generator)
    propagator, overlaps = Propagator(config), []
    for t, (_, flow, mask) in enumerate(moving_clip(12)):
        features = world + 0.5 * torch.randn(24, *GRID, generator=generator)
        inside = torch.from_numpy(mask[4::8, 4::8] == 5)
        features += (2 if t < 5 else 0.5) * own[:, None, None] * inside
        if t == 0:
            propagator.annotate(0, features, mask)
            continue
        found = propagator.step(t, features, flow).mask(SIZE)
        overlaps.append((found & mask).sum() / (found | mask).sum())
    return overlaps[4:]


def test_an_object_whose_looks_fade_is_held_by_its_motion():
    config = dataclasses.replace(
        CONFIG, window="circle", radius=3, motion_sigma=3, sharpness=2, temperature=0.05
    )
    looks_alone = dataclasses.replace(config, classifier_motion=False)
    gain = np.mean(overlaps_of_fading_object(config)) - np.mean(
        overlaps_of_fading_object(looks_alone)
    )
    assert gain > 0.08


def test_a_correction_forgets_how_things_moved():
    clip = list(moving_clip(6))
    propagator = Propagator(CONFIG)
    propagator.annotate(0, clip[0][0], clip[0][2])
    for t in range(1, 4):
        propagator.step(t, *clip[t][:2])
    propagator.annotate(3, clip[3][0], clip[3][2])
    anew = Propagator(CONFIG)
    anew.annotate(0, clip[0][0], clip[0][2])
    anew.annotate(3, clip[3][0], clip[3][2])
    for t in range(4, 6):
        found, expected = (each.step(t, *clip[t][:2]).labels for each in (propagator, anew))
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("change", [{"motion": "none"}, {"classifier": 0.0}])
def test_without_motion_or_classifier_nothing_is_said(change):
    config = dataclasses.replace(CONFIG, **change)
    plain = dataclasses.replace(config, classifier_motion=False)
    results = []
    for each in (config, plain):
        propagator = Propagator(each)
        clip = list(moving_clip(4))
        propagator.annotate(0, clip[0][0], clip[0][2])
        results.append([propagator.step(t, *clip[t][:2]).labels for t in range(1, 4)])
    for one, two in zip(*results, strict=True):
        assert torch.equal(one, two)
