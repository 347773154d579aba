"""Which frames vote, and how often."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from vos.propagation.config import PropagationConfig
from vos.propagation.context import Context, ContextFrame


def frame(index: int) -> ContextFrame:
    return ContextFrame(index, torch.ones(4, 2), torch.tensor([[0.25, 0.75]]).repeat(4, 1))


def votes(context: Context) -> dict[tuple[int, bool], int]:
    """How often each frame counts, by index and whether within the window."""
    return {(item.frame.index, item.windowed): item.count for item in context.sources((2, 2))}


REPEAT = PropagationConfig(recent=3, early="repeat", annotated_in_window=False)


def test_copies_of_the_first_frame_stand_in_for_frames_that_are_missing() -> None:
    context = Context(REPEAT)
    context.add_annotated(frame(0))
    assert votes(context) == {(0, True): 3, (0, False): 1}
    context.add_recent(frame(1))
    assert votes(context) == {(0, True): 2, (1, True): 1, (0, False): 1}
    for index in (2, 3, 4):
        context.add_recent(frame(index))
    assert votes(context) == {(2, True): 1, (3, True): 1, (4, True): 1, (0, False): 1}


@pytest.mark.parametrize(
    ("early", "expected"),
    [("count", {(0, True): 1, (5, True): 2}), ("skip", {(0, True): 1, (5, True): 1})],
)
def test_recent_frames_do_not_outvote_a_correction(early, expected) -> None:
    context = Context(dataclasses.replace(REPEAT, early=early, annotated_in_window=True))
    context.add_annotated(frame(0))
    for index in (3, 4, 5):
        context.add_recent(frame(index))
    context.add_annotated(frame(5))
    assert votes(context) == expected


def test_gaps_between_context_frames_grow() -> None:
    config = dataclasses.replace(
        REPEAT, recent=20, spacing="growing", early="count", annotated_in_window=True
    )
    context = Context(config)
    context.add_annotated(frame(0))
    for index in range(1, 41):
        context.add_recent(frame(index))
    back = [40 - index + 1 for index, windowed in votes(context) if windowed and index]
    assert back == [1, 2, 3, 4, 6, 8, 11, 15, 20]
    assert votes(context)[0, True] == 1


def test_missing_frames_are_repeated_once_for_each_place_in_the_context() -> None:
    context = Context(dataclasses.replace(REPEAT, recent=8, spacing="growing"))
    context.add_annotated(frame(0))
    for index in (1, 2, 3):
        context.add_recent(frame(index))
    # Wanted are those 1, 2, 3, 4, 6 and 8 back; frame 0 is 4 back and stands in for the other two.
    assert votes(context) == {
        (3, True): 1,
        (2, True): 1,
        (1, True): 1,
        (0, True): 3,
        (0, False): 1,
    }


def test_the_background_of_earlier_frames_abstains_when_objects_are_added() -> None:
    context = Context(REPEAT)
    context.add_annotated(frame(0))
    context.add_recent(frame(1))
    context.add_objects(3)
    for item in (*context.annotated, *context.recent):
        torch.testing.assert_close(item.labels, torch.tensor([[0, 0.75, 0]]).repeat(4, 1))


@pytest.mark.parametrize(
    ("in_window", "expected"),
    [(True, {(0, True): 3, (1, True): 1}), (False, {(1, True): 1, (0, False): 3})],
)
def test_annotated_frames_count_as_often_as_asked_for(in_window, expected) -> None:
    config = dataclasses.replace(
        REPEAT, early="skip", annotated_in_window=in_window, annotated_count=3
    )
    context = Context(config)
    context.add_annotated(frame(0))
    context.add_recent(frame(1))
    assert votes(context) == expected
