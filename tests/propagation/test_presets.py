"""Presets follow their sources, written here once more from the papers' own descriptions."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as functional

from vos.errors import UsageError
from vos.propagation import PRESETS, Propagator, frame_size, preset
from vos.propagation.labels import stretch

GRID = (18, 26)
SIZE = (GRID[0] * 8, GRID[1] * 8)
FRAMES = 12


def features_of_clip(seed=1):
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(16, *GRID, generator=generator)
    for t in range(FRAMES):
        yield base.roll((t // 2, t), dims=(1, 2)) + 0.3 * torch.randn(
            16, *GRID, generator=generator
        )


def first_mask():
    mask = np.zeros(SIZE, np.uint8)
    mask[30:90, 40:100] = 1
    mask[60:130, 120:180] = 2
    return mask


def distances(chebyshev=False):
    y, x = torch.meshgrid(torch.arange(GRID[0]), torch.arange(GRID[1]), indexing="ij")
    points = torch.stack([y.flatten(), x.flatten()], 1).float()
    return torch.cdist(points, points, p=float("inf") if chebyshev else 2)


def run_preset(name):
    propagator = Propagator(preset(name), engine="reference")
    soft = []
    for index, features in enumerate(features_of_clip()):
        if index == 0:
            soft.append(propagator.annotate(0, features, first_mask()))
        else:
            soft.append(propagator.step(index, features))
    return soft


def one_hot_planes():
    mask = torch.from_numpy(first_mask()).long()
    return functional.one_hot(mask, 3).permute(2, 0, 1)[None].float()


def unit_rows():
    return [functional.normalize(f.flatten(1), dim=0).T for f in features_of_clip()]


def as_mask(planes):
    return planes[0].argmax(0).numpy().astype(np.uint8)


def assert_same(found, expected):
    assert (found == expected).mean() >= 0.999


@pytest.mark.parametrize(("name", "corners"), [("crw", False), ("dul", True)])
def test_random_walk_protocol(name, corners):
    """Frame 0 anywhere, then the last 20 in a circle, frame 0 standing in for missing ones."""
    rows = unit_rows()
    labels = [
        functional.interpolate(one_hot_planes(), GRID, mode="bilinear", align_corners=corners)
        .flatten(2)[0]
        .T
    ]
    outside = distances() >= 12
    soft = run_preset(name)
    for t in range(1, FRAMES):
        context = [0] + [max(0, s) for s in range(t - 20, t)]
        similarity = torch.stack([rows[s] @ rows[t].T for s in context])  # (21, N keys, N queries)
        similarity[1:, outside] = -1e10
        values, places = (similarity.flatten(0, 1) / 0.05).topk(10, dim=0)
        weights = values.softmax(0)
        values_of = torch.cat([labels[s] for s in context])[places]  # (10, N, 3)
        labels.append((weights[..., None] * values_of).sum(0))
        planes = functional.interpolate(
            labels[t].T.reshape(1, 3, *GRID), SIZE, mode="bilinear", align_corners=corners
        )
        assert_same(soft[t].mask(SIZE), as_mask(planes))


def test_a_random_walk_with_restart_is_the_sum_over_when_it_came_home_last():
    """Chains of transition matrices: sum of r (1 - r)^n A(t,t-1) ... A(s,0) l0, with all tokens."""
    config = dataclasses.replace(
        preset("walk"), neighbours=10**6, window="everywhere", temperature=0.2, restart=0.3
    )
    rows = unit_rows()
    propagator = Propagator(config, engine="reference")
    start = functional.interpolate(one_hot_planes(), GRID, mode="bilinear").flatten(2)[0].T

    def transition(to, back):
        return (rows[to] @ rows[back].T / 0.2).softmax(1)

    for t, features in enumerate(features_of_clip()):
        if t == 0:
            propagator.annotate(0, features, first_mask())
            continue
        soft = propagator.step(t, features)
        expected = torch.zeros_like(start)
        for home in range(1, t + 1):  # the last frame whose labels came from frame 0
            walk = transition(home, 0)
            for later in range(home + 1, t + 1):
                walk = transition(later, later - 1) @ walk
            share = 0.7 ** (t - home) * (0.3 if home > 1 else 1.0)
            expected += share * walk @ start
        torch.testing.assert_close(soft.labels, expected, rtol=1e-4, atol=1e-5)


def test_restart_needs_annotated_frames_apart():
    for wrong in ({"restart": 2}, {"restart": 0.1, "early": "repeat"}):
        with pytest.raises(UsageError, match="restart"):
            preset("crw").with_settings(wrong)


def test_dino_protocol():
    """Frame 0 and the last 7 in a square; exponentials of all, kept where in the best five."""
    rows = unit_rows()
    labels = [one_hot_planes()[:, :, 4::8, 4::8].flatten(2)[0].T]
    inside = distances(chebyshev=True) <= 12
    soft = run_preset("dino")
    for t in range(1, FRAMES):
        context = [0, *range(max(1, t - 7), t)]
        affinity = torch.stack([torch.exp(rows[s] @ rows[t].T / 0.1) * inside for s in context])
        affinity = affinity.flatten(0, 1)
        affinity[affinity < affinity.topk(5, dim=0).values[-1]] = 0
        affinity /= affinity.sum(0)
        labels.append((torch.cat([labels[s] for s in context]).T @ affinity).T)
        planes = functional.interpolate(labels[t].T.reshape(1, 3, *GRID), SIZE, mode="bilinear")
        assert_same(soft[t].mask(SIZE), as_mask(stretch(planes)))


def test_dinov3_protocol():
    """Frame 0 and the last 7 in a closed circle, temperature .2, nothing smoothed on the way."""
    rows = unit_rows()
    labels = [one_hot_planes()[:, :, 4::8, 4::8].flatten(2)[0].T]
    outside = distances() > 12
    soft = run_preset("dinov3")
    for t in range(1, FRAMES):
        context = [0, *range(max(1, t - 7), t)]
        similarity = torch.stack([rows[t] @ rows[s].T for s in context], 1)  # (N, n, N)
        similarity = similarity.masked_fill(outside[:, None], -torch.inf).flatten(1)
        floor = similarity.topk(5, dim=1).values[:, -1:]
        weights = (similarity.masked_fill(similarity < floor, -torch.inf) / 0.2).softmax(1)
        labels.append(weights @ torch.cat([labels[s] for s in context]))
        planes = labels[t].T.reshape(1, 3, *GRID).repeat_interleave(8, 2).repeat_interleave(8, 3)
        assert_same(soft[t].mask(SIZE), as_mask(stretch(planes)))


def test_vfs_protocol():
    """Frame 0 counts twice while it is also among the last 20; all in the circle."""
    rows = unit_rows()
    labels = [one_hot_planes()[:, :, 4::8, 4::8].flatten(2)[0].T]
    outside = distances() >= 12
    soft = run_preset("vfs")
    for t in range(1, FRAMES):
        context = [0, *range(max(0, t - 20), t)]
        similarity = torch.stack([rows[s] @ rows[t].T for s in context]) / 0.07
        similarity[:, outside] = -torch.inf
        values, places = similarity.flatten(0, 1).topk(10, dim=0)
        values_of = torch.cat([labels[s] for s in context])[places]
        labels.append((values.softmax(0)[..., None] * values_of).sum(0))
        planes = functional.interpolate(labels[t].T.reshape(1, 3, *GRID), SIZE, mode="bilinear")
        assert_same(soft[t].mask(SIZE), as_mask(stretch(planes)))


def test_fmicon_protocol():
    """The best match anywhere in frame 0, and nothing else."""
    rows = unit_rows()
    first = torch.from_numpy(first_mask()[4::8, 4::8].copy()).flatten()
    soft = run_preset("fmicon")
    for t in range(1, FRAMES):
        best = (rows[t] @ rows[0].T).argmax(1)
        expected = first[best].reshape(GRID).numpy().repeat(8, 0).repeat(8, 1)
        assert_same(soft[t].mask(SIZE), expected)


@pytest.mark.parametrize(
    ("name", "stride", "expected"),
    [
        ("default", 8, (480, 854)),
        ("fine", 8, (720, 1281)),
        ("fast", 8, (360, 641)),
        ("crw", 8, (480, 854)),
        ("dino", 16, (480, 832)),
        ("dinov3", 16, (960, 1712)),
        ("vfs", 8, (480, 854)),
        ("fmicon", 1, (120, 214)),
    ],
)
def test_frame_size(name, stride, expected):
    assert frame_size(480, 854, preset(name), stride) == expected


def test_default_shrinks_large_frames_and_enlarges_small_ones_twice_at_most():
    assert frame_size(1080, 1920, preset("default"), 8) == (480, 853)
    assert frame_size(360, 480, preset("default"), 8) == (480, 640)
    assert frame_size(181, 320, preset("default"), 8) == (362, 640)


def test_fine_enlarges_three_times_at_most():
    assert frame_size(240, 432, preset("fine"), 8) == (720, 1296)
    assert frame_size(180, 320, preset("fine"), 8) == (540, 960)


@pytest.mark.parametrize("name", ["default", "fast", "fine", "thorough"])
def test_annotated_frames_count_as_much_in_the_classifier_as_in_the_vote(name):
    config = preset(name)
    annotated = 1 - config.classifier_recent
    assert annotated / config.classifier_recent == config.annotated_count == 3


def test_enlarging_can_be_switched_off_and_taken_as_far_as_needed():
    never = preset("default").with_settings({"enlarge": "1"})
    always = preset("default").with_settings({"enlarge": "none"})
    assert frame_size(120, 160, never, 8) == (120, 160)
    assert frame_size(120, 160, always, 8) == (480, 640)


def test_portrait_frames_keep_their_short_side():
    assert frame_size(854, 480, preset("dino"), 8) == (832, 480)


def test_unknown_preset_offers_near_names():
    with pytest.raises(UsageError, match="did you mean crw"):
        preset("crv")


def test_every_preset_names_its_source():
    assert all(entry.source for entry in PRESETS.values())


def moments(rows, labels):
    """Of a regression of ``labels`` on ``rows``, every class with the square root of its tokens."""
    weight = (labels / labels.sum(0).clamp(min=1).sqrt()).sum(1)
    weight = (weight / weight.sum()).double()[:, None]
    inputs = torch.cat([rows, torch.ones(len(rows), 1)], 1).double()
    return inputs.T @ (weight * inputs), inputs.T @ (weight * labels.double())


def with_scores(rows, moments):
    """The scores of a ridge regression beside ``rows``."""
    inputs, labels = moments
    solution = torch.linalg.inv(inputs + 1e-4 * torch.eye(len(inputs))) @ labels
    found = torch.cat([rows, torch.ones(len(rows), 1)], 1).double() @ solution
    scores = functional.normalize(found.clamp(0, 1) + 1e-3).float()
    return torch.cat([rows, scores * 0.5**0.5], 1) / 1.5**0.5


@pytest.mark.parametrize(
    ("name", "back"),
    [
        ("default", (1, 2, 3, 4, 6, 8, 11, 15, 20)),
        ("fine", (1, 2, 3, 4, 6, 8, 11, 15, 20)),
        ("thorough", range(1, 21)),
    ],
)
def test_our_own_protocol(name, back):
    """Frame 0, three times, beside frames ``back``; near places count more; labels are squared;
    scores of a classifier of frame 0 and, for a quarter of it, of every fourth frame stand beside
    the features with half their weight."""
    config = preset(name)
    labels = [functional.interpolate(one_hot_planes(), GRID, mode="bilinear").flatten(2)[0].T]
    learnt = unit_rows()
    first = known = moments(learnt[0], labels[0])
    rows, recent = [with_scores(learnt[0], first)], None
    far = distances() > config.radius
    prior = distances() ** 2 / (2 * config.motion_sigma**2)
    soft = run_preset(name)
    for t in range(1, FRAMES):
        rows.append(with_scores(learnt[t], known))
        context = [0, 0, 0, *(t - offset for offset in back if offset <= t)]
        similarity = torch.stack([rows[s] @ rows[t].T for s in context]) / 0.05 - prior
        similarity[:, far] = -torch.inf
        values, places = similarity.flatten(0, 1).topk(10, dim=0)
        values_of = torch.cat([labels[s] for s in context])[places]
        squares = (values.softmax(0)[..., None] * values_of).sum(0) ** 2
        shares = squares / squares.sum(1, keepdim=True)
        shares[shares < 0.01] = 0
        labels.append(shares / shares.sum(1, keepdim=True))
        torch.testing.assert_close(soft[t].labels, labels[t], rtol=1e-3, atol=1e-3)
        if t % 4 == 0:
            found = moments(learnt[t], labels[t])
            recent = [(a + b) / 2 for a, b in zip(recent or found, found, strict=True)]
            known = [(3 * a + b) / 4 for a, b in zip(first, recent, strict=True)]
