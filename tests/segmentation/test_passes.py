"""Which passes carry which marks: planned by hand, and walked over the small scene."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import vos
from vos.media import open_video
from vos.segmentation import segment
from vos.segmentation.passes import ANCHORS, END, Pass, plan_passes, walk

ONE, TWO, BOTH, NONE = frozenset({1}), frozenset({2}), frozenset({1, 2}), frozenset()


def walks(passes: list[Pass]) -> list[tuple[int, list[int], frozenset[int], tuple[int, ...]]]:
    return [(part.start, list(part.frames), part.objects, part.anchors) for part in passes]


def test_one_mark_is_carried_to_the_end_and_back_to_the_start() -> None:
    assert walks(plan_passes({2: ONE}, 0, 4)) == [
        (2, [2, 3, 4], ONE, ()),
        (2, [1, 0], ONE, ()),
    ]


def test_between_two_marks_each_frame_is_reached_from_the_nearer_one() -> None:
    assert walks(plan_passes({1: ONE, 6: ONE}, 0, 7)) == [
        (1, [1, 2, 3], ONE, (6,)),
        (6, [5, 4], ONE, (1,)),
        (6, [6, 7], ONE, (1,)),
        (1, [0], ONE, (6,)),
    ]


def test_a_mark_that_does_not_show_all_objects_is_walked_to_and_completed() -> None:
    passes = plan_passes({0: BOTH, 3: TWO, 6: BOTH}, 0, 6)
    assert walks(passes) == [
        (0, [0, 1, 2], BOTH, (6, 3)),
        (3, [3, 4], BOTH, (0, 6)),
        (6, [5], BOTH, (0, 3)),
        (6, [6], BOTH, ()),
    ]
    assert [part.arrives for part in passes] == [3, None, None, None]


def test_objects_are_known_from_their_first_mark_on() -> None:
    assert walks(plan_passes({1: ONE, 4: BOTH}, 0, 5)) == [
        (1, [1, 2], ONE, (4,)),
        (4, [3], ONE, (1,)),
        (4, [4, 5], BOTH, (1,)),
        (1, [0], ONE, (4,)),
    ]


def test_backwards_is_forwards_in_the_mirror() -> None:
    shown = {1: BOTH, 4: ONE, 8: TWO}
    forwards = plan_passes(shown, 0, 9)
    mirrored = plan_passes({9 - i: ids for i, ids in shown.items()}, 0, 9, backwards=True)
    assert walks(forwards) == [
        (9 - start, [9 - i for i in frames], ids, tuple(9 - i for i in anchors))
        for start, frames, ids, anchors in walks(mirrored)
    ]


def test_an_object_taken_away_is_gone_from_there_on_and_without_any_the_masks_are_blank() -> None:
    passes = plan_passes({0: BOTH, 3: ONE, 5: NONE}, 0, 6, erased={3: TWO, 5: ONE})
    assert [(list(part.frames), part.objects) for part in passes] == [
        ([0, 1, 2], BOTH),
        ([3, 4], ONE),
        ([5, 6], NONE),
    ]


def test_the_nearest_marks_on_both_sides_stay_in_the_context() -> None:
    shown = dict.fromkeys(range(0, 100, 10), ONE)
    part = next(part for part in plan_passes(shown, 0, END) if part.start == 50)
    assert len(part.anchors) == ANCHORS
    assert set(part.anchors) == {30, 40, 60, 70, 80, 20} and part.anchors[-1] in (40, 60)
    assert part.anchors[0] in (20, 80), "the nearest one comes last"


def test_marks_that_show_none_of_the_objects_are_no_context() -> None:
    assert plan_passes({0: ONE, 4: TWO}, 0, 3)[0].anchors == ()


@pytest.mark.parametrize("backwards", [False, True])
def test_every_frame_is_in_one_pass(backwards: bool) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        count = int(rng.integers(1, 30))
        marked = rng.choice(count, rng.integers(1, min(count, 6) + 1), replace=False)
        shown = {
            int(i): frozenset(map(int, rng.choice(4, rng.integers(0, 4), replace=False)))
            for i in marked
        }
        erased = {i: frozenset({0, 1}) - shown[i] for i in shown if rng.random() < 0.3}
        passes = plan_passes(shown, 0, count - 1, erased=erased, backwards=backwards)
        frames = sorted(index for part in passes for index in part.frames)
        assert frames == (list(range(count)) if any(shown.values()) else [])


def test_between_two_marks_the_second_one_helps(frames, masks, extractor, config, overlap) -> None:
    """Where everything changes its colour midway, what comes after is found from the second."""
    film = [frame if index < 5 else 255 - frame for index, frame in enumerate(frames)]
    how = {"model": extractor, "preset": config}
    ends = {0: masks[0], 9: masks[9]}
    both = {frame.index: frame.mask for frame in vos.propagate(film, ends, **how)}
    first = {f.index: f.mask for f in vos.propagate(film, ends, direction="online", **how)}
    assert sorted(both) == sorted(first) == list(range(10))
    for object_id in (2, 7):
        better = [overlap(both[i], masks[i], object_id) for i in range(5, 9)]
        worse = [overlap(first[i], masks[i], object_id) for i in range(5, 9)]
        assert np.mean(better) > 0.7 and np.mean(worse) < 0.1


def test_online_is_one_pass_that_knows_nothing_of_what_is_to_come(
    frames, masks, extractor, config
) -> None:
    given = {1: masks[1], 6: np.where(masks[6] == 7, 7, 0).astype(np.uint8)}
    online = list(vos.propagate(frames, given, model=extractor, preset=config, direction="online"))
    plain = list(segment(list(enumerate(frames))[1:], given, extractor, config))
    assert [frame.index for frame in online] == list(range(1, 10))
    for one, other in zip(online, plain, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)


def test_no_frame_is_looked_at_twice_for_the_sake_of_other_passes(
    frames, masks, extractor, config
) -> None:
    class Counting:
        device, stride = extractor.device, extractor.stride
        seen = 0

        def __call__(self, batch):
            Counting.seen += len(batch)
            return extractor(batch)

    marks = {index: masks[index] for index in (1, 4, 8)}
    shown = {index: frozenset({2, 7}) for index in marks}
    passes = plan_passes(shown, 0, 9)
    carry = partial(segment, extractor=Counting(), config=config)
    walked = list(walk(open_video(frames), marks.__getitem__, passes, carry))
    assert sorted(frame.index for frame in walked) == list(range(10))
    assert Counting.seen == 10


def test_a_mark_that_is_carried_nowhere_needs_no_others() -> None:
    assert walks(plan_passes({2: ONE, 3: ONE, 4: ONE}, 2, 5)) == [
        (2, [2], ONE, ()),
        (3, [3], ONE, ()),
        (4, [4, 5], ONE, (2, 3)),
    ]
