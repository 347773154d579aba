"""Confidence: labels that were carried against labels found anew."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as functional

from vos.errors import UsageError
from vos.propagation import Propagator, preset
from vos.propagation.agreement import agreement
from vos.propagation.context import ContextFrame

GRID = (8, 10)
CONFIG = dataclasses.replace(preset("default"), neighbours=1)
TOKENS = GRID[0] * GRID[1]


def own_directions() -> torch.Tensor:
    """(N, N) features that tell every token of a frame from every other."""
    return torch.eye(TOKENS)


def labels(*places: tuple[slice, slice]) -> torch.Tensor:
    """(N, K + 1) labels of objects that fill rectangles."""
    planes = torch.zeros(1 + len(places), *GRID)
    for number, place in enumerate(places, 1):
        planes[(number, *place)] = 1
    planes[0] = 1 - planes[1:].sum(0)
    return planes.flatten(1).T.contiguous()


def moved(features: torch.Tensor, columns: int) -> torch.Tensor:
    """Features of a frame in which everything has moved to the right."""
    return features.reshape(*GRID, -1).roll(columns, 1).reshape(TOKENS, -1)


BLOCK = (slice(2, 6), slice(1, 5))
BLOCK_MOVED = (slice(2, 6), slice(3, 7))


def found(carried: torch.Tensor, true: torch.Tensor, columns: int = 2) -> list[float]:
    annotated = ContextFrame(0, own_directions(), true)
    frame = ContextFrame(1, moved(own_directions(), columns), carried)
    return agreement(frame, [annotated], GRID, CONFIG).tolist()


def test_labels_that_kept_their_object_are_sure() -> None:
    assert found(labels(BLOCK_MOVED), labels(BLOCK)) == pytest.approx([1.0])


def test_labels_that_slipped_are_unsure_by_their_overlap() -> None:
    # They stayed where they were: 2 of 4 columns are right, an overlap of 8 / 24 both ways.
    still = (slice(2, 6), slice(3, 7))
    assert found(labels(still), labels(still)) == pytest.approx([8 / 24])


def test_each_object_has_its_own() -> None:
    other = (slice(0, 2), slice(5, 7))
    carried = labels(BLOCK_MOVED, (slice(0, 2), slice(0, 2)))
    assert found(carried, labels(BLOCK, other)) == pytest.approx([1.0, 0.0])


def test_a_hidden_object_is_sure_unless_it_is_seen_elsewhere() -> None:
    nothing = labels((slice(0, 0), slice(0, 0)))
    even = (slice(2, 6), slice(2, 6))  # a quarter of its tokens is looked at
    assert found(nothing, labels(even)) == pytest.approx([0.0])
    gone = ContextFrame(1, torch.eye(2 * TOKENS)[TOKENS:], nothing)
    features = functional.pad(own_directions(), (0, TOKENS))
    first = labels((slice(7, 8), slice(9, 10)))  # no token of the frame resembles any of it more
    assert agreement(gone, [ContextFrame(0, features, first)], GRID, CONFIG).tolist() == [1.0]


def test_a_propagator_knows_how_sure_it_is() -> None:
    config = dataclasses.replace(preset("default"), motion="none", radius=1.5, classifier=0)
    mask = np.zeros((64, 80), np.uint8)
    mask[16:48, 8:40] = 5
    first = own_directions().T.reshape(-1, *GRID)
    far = moved(own_directions(), 4).T.reshape(-1, *GRID)  # farther than the window reaches
    propagator = Propagator(config)
    with pytest.raises(UsageError, match="annotate a frame"):
        propagator.confidence()
    propagator.annotate(0, first, mask)
    assert propagator.confidence() == {5: 1.0}
    propagator.step(1, first)
    assert propagator.confidence()[5] == pytest.approx(1.0, abs=0.05)
    propagator.step(2, far)
    assert propagator.confidence()[5] < 0.4
