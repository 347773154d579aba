"""Fit the small networks that read clicks and boxes to masks, for `points_protocol.py`.

The network of clicks learns from clicks anywhere on objects and beside them, and from those that it
would be given: its own first masks are corrected as the protocol does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from vos.segmentation.interactive import (
    Click,
    InteractiveFrame,
    Network,
    Networks,
    click_cues,
)

CLICKS = 6
TOKENS = 200  # of an example that a network sees; a third of them on the object, at most
HIDDEN = 16
STEPS = 500
BATCH = 2048

Sample = tuple[np.ndarray, np.ndarray]  # cues (m, n), and whether they are the object's (m,)


def fit(examples: Sequence[Any], seed: int = 0) -> Networks:
    """Return networks fitted to examples (`points_protocol.Example`)."""
    generator = np.random.default_rng(seed)
    torch.manual_seed(seed)
    told = [(e.frame, on_tokens(e.truth, e.frame)) for e in examples]
    told = [(frame, truth) for frame, truth in told if truth.sum() > 4]
    box = train(
        draw(frame.cues.box(inside), truth, inside, generator)
        for frame, truth in told
        for inside in (surround(truth, by, generator) for by in (0, 0.1, 0.2))
    )
    samples = [
        draw(click_cues(frame.cues, places), truth, None, generator)
        for frame, truth in told
        for places in random_clicks(truth, generator)
    ]
    networks = Networks(train(samples), box)
    for frame, truth in told:
        frame.use(networks)
        samples += corrections(frame, truth, generator)
    return Networks(train(samples), box)


def random_clicks(
    truth: np.ndarray, generator: np.random.Generator
) -> Iterator[list[tuple[tuple[int, int], bool]]]:
    """Yield clicks anywhere: one on the object, four times, then some on and some beside it."""
    near = cv2.dilate(truth.astype(np.uint8), np.ones((15, 15))) > 0
    yield [(deep(truth, 1, generator), True)]
    for _ in range(3):
        yield [(deep(truth, 0, generator), True)]
    for beside in (~truth, near & ~truth):
        on = [(deep(truth, 0, generator), True) for _ in range(generator.integers(1, 4))]
        off = [(deep(beside, 0, generator), False) for _ in range(generator.integers(0, 4))]
        yield on + off


def corrections(
    frame: InteractiveFrame, truth: np.ndarray, generator: np.random.Generator
) -> Iterator[Sample]:
    """Yield what can be learned from each click of the protocol after the first."""
    clicks = [click_on(deep(truth, 1, generator), frame, True)]
    while len(clicks) < CLICKS:
        labels = frame.labels(tuple(clicks), None) > 0.5
        found = largest_error(labels, truth)
        if found is None:
            return
        clicks.append(click_on(found[0], frame, found[1]))
        places = [(frame.place(click), click.adds) for click in clicks]
        yield draw(click_cues(frame.cues, places), truth, labels != truth, generator)


def train(samples: Iterable[Sample]) -> Network:
    """Return a network that tells tokens of the object from others by their cues."""
    cues, answers = (np.concatenate(part) for part in zip(*samples, strict=True))
    mean, scale = cues.mean(0), cues.std(0) + 1e-3
    values = torch.from_numpy((cues - mean) / scale)
    wanted = torch.from_numpy(answers.astype(np.float32))
    layers = nn.Sequential(nn.Linear(len(mean), HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1))
    optimiser = torch.optim.AdamW(layers.parameters(), lr=1e-2, weight_decay=3e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        chosen = torch.randint(len(wanted), (BATCH,))
        loss = binary_cross_entropy_with_logits(layers(values[chosen])[:, 0], wanted[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    hidden, hidden_bias, out, out_bias = (p.detach().numpy() for p in layers.parameters())
    return Network(mean, scale, hidden, hidden_bias, out[0], out_bias)


def draw(
    cues: np.ndarray, truth: np.ndarray, also: np.ndarray | None, generator: np.random.Generator
) -> Sample:
    """Some tokens of a frame: from everywhere, from the object, and from ``also`` (h, w) bool."""
    answers = truth.ravel()
    places = [generator.integers(answers.size, size=TOKENS)]
    for region in (truth, also):
        if region is not None and region.any():
            inside = np.flatnonzero(region)
            places.append(generator.choice(inside, min(len(inside), TOKENS // 2)))
    chosen = np.concatenate(places)
    return cues.reshape(len(cues), -1).T[chosen], answers[chosen]


def on_tokens(truth: np.ndarray, frame: InteractiveFrame) -> np.ndarray:
    """(h, w) bool: the tokens of which a mask covers half."""
    shares = cv2.resize(
        truth.astype(np.float32), frame.cues.grid[::-1], interpolation=cv2.INTER_AREA
    )
    return shares > 0.5


def depths(region: np.ndarray) -> np.ndarray:
    """(h, w) float32: how far each token of a region is from what lies outside it."""
    padded = np.pad(region.astype(np.uint8), 1)
    return cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]


def deep(region: np.ndarray, share: float, generator: np.random.Generator) -> tuple[int, int]:
    """(row, column) of a token that is at least ``share`` as deep in a region as the deepest."""
    found = depths(region)
    rows, columns = np.nonzero(region & (found >= share * found.max()))
    chosen = 0 if share == 1 else generator.integers(len(rows))
    return int(rows[chosen]), int(columns[chosen])


def largest_error(labels: np.ndarray, truth: np.ndarray) -> tuple[tuple[int, int], bool] | None:
    """Return where the largest connected error is deepest, and whether the object is missed."""
    errors = []
    for adds, wrong in ((True, truth & ~labels), (False, labels & ~truth)):
        _, parts, statistics, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8))
        sizes = statistics[1:, cv2.CC_STAT_AREA]
        if len(sizes):
            errors.append((int(sizes.max()), adds, depths(parts == 1 + sizes.argmax())))
    if not errors:
        return None
    _, adds, found = max(errors, key=lambda error: error[0])
    row, column = np.unravel_index(int(found.argmax()), found.shape)
    return (int(row), int(column)), adds


def click_on(place: tuple[int, int], frame: InteractiveFrame, adds: bool) -> Click:
    """Return the click at the middle of a token."""
    (rows, columns), (height, width) = frame.cues.grid, frame.image.shape[:2]
    y, x = (place[0] + 0.5) * height / rows, (place[1] + 0.5) * width / columns
    return Click(int(x), int(y), adds)


def surround(truth: np.ndarray, by: float, generator: np.random.Generator) -> np.ndarray:
    """(h, w) bool: a box around an object, wider by up to a share of its sides on each side."""
    rows, columns = np.nonzero(truth)
    inside = np.zeros_like(truth)
    spread = [by * np.ptp(rows), by * np.ptp(columns)]
    above, left, below, right = (generator.uniform(0, [*spread, *spread])).round().astype(int)
    top, side = max(0, rows.min() - above), max(0, columns.min() - left)
    inside[top : rows.max() + 1 + below, side : columns.max() + 1 + right] = True
    return inside
