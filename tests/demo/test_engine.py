"""What is propagated from which marks; the segmenting itself is tested with the pipeline."""

from __future__ import annotations

import numpy as np
import pytest

from vos.demo.engine import Models, Pass, plan, propagate
from vos.demo.limits import Limits
from vos.demo.session import Session
from vos.errors import UsageError
from vos.pipeline import propagate as plain_propagate
from vos.pipeline import segment


@pytest.fixture(scope="module")
def models() -> Models:
    return Models("cpu")


@pytest.fixture
def session(tmp_path, clip) -> Session:
    session = Session(tmp_path / "session", Limits())
    session.open(clip.path)
    return session


def run(session, models, direction, frame=0):
    passes = plan(session, direction, frame)
    options = {"model": "lab", "preset_name": "default", "passes": passes}
    return [step.index for step in propagate(session, models, **options)]


def test_one_mark_gives_what_the_pipeline_gives(session, models, clip):
    session.annotate(4, clip.masks[4])
    order = run(session, models, "whole")
    assert order == [4, 5, 6, 7, 8, 9, 4, 3, 2, 1, 0]
    for index, _, mask in plain_propagate(clip.path, {4: clip.masks[4]}, model="lab", device="cpu"):
        np.testing.assert_array_equal(session.mask(index), mask)
    confidence = session.clip.confidence
    assert ((confidence > 0) & (confidence <= 1)).all() and confidence[4] == 1


def test_a_correction_changes_what_follows_and_keeps_the_rest(session, models, clip):
    session.annotate(0, clip.masks[0])
    run(session, models, "whole")
    before = [session.mask(index) for index in range(10)]
    corrected = clip.masks[5].copy()
    corrected[corrected == 2] = 9  # another name for it
    session.annotate(5, corrected)
    assert run(session, models, "onwards", 5) == [5, 6, 7, 8, 9]
    for index in range(5):
        np.testing.assert_array_equal(session.mask(index), before[index])
    np.testing.assert_array_equal(session.mask(5), corrected)
    assert all((session.mask(index) == 9).any() for index in range(6, 10))


def test_back_from_here(session, models, clip):
    session.annotate(6, clip.masks[6])
    assert run(session, models, "back", 6) == [6, 5, 4, 3, 2, 1, 0]
    assert not session.has_mask(7)


def test_an_object_that_was_taken_away_stays_away(session, models, clip):
    session.annotate(0, clip.masks[0])
    run(session, models, "whole")
    session.annotate(4, np.where(session.mask(4) == 1, 0, session.mask(4)).astype(np.uint8))
    run(session, models, "onwards", 4)
    assert all((session.mask(index) != 1).all() for index in range(4, 10))
    assert all((session.mask(index) == 1).any() for index in range(4))
    run(session, models, "whole")
    assert all((session.mask(index) != 1).all() for index in range(4, 10))


def test_marks_further_on_are_kept_to_the_pixel(session, models, clip):
    session.annotate(0, clip.masks[0])
    session.annotate(7, clip.masks[7])
    run(session, models, "onwards", 0)
    np.testing.assert_array_equal(session.mask(7), clip.masks[7])


def test_trim(session, models, clip):
    session.clip.trim = (2, 6)
    session.annotate(3, clip.masks[3])
    assert sorted(set(run(session, models, "whole"))) == [2, 3, 4, 5, 6]
    with pytest.raises(UsageError, match="outside the trimmed part"):
        plan(session, "onwards", 8)


def test_stopping_keeps_what_was_done(session, models, clip):
    session.annotate(0, clip.masks[0])
    passes = plan(session, "whole", 0)
    steps = propagate(session, models, model="lab", preset_name="default", passes=passes)
    for step in steps:
        if step.index == 3:
            session.stop.set()
    assert session.masked_frames() == [0, 1, 2, 3]


def test_nothing_to_start_from(session):
    with pytest.raises(UsageError, match="Mark an object"):
        plan(session, "whole", 0)
    with pytest.raises(UsageError, match="shows no object"):
        plan(session, "onwards", 0)


def test_passes_end_where_an_object_was_taken_away(session, clip):
    session.annotate(0, clip.masks[0])
    session.annotate(5, clip.masks[5])
    session.annotate(5, np.where(clip.masks[5] == 1, 0, clip.masks[5]).astype(np.uint8))
    assert plan(session, "whole", 0) == [Pass(0, 4), Pass(5, 9)]


def test_of_many_marks_behind_the_nearest_stay_in_the_context(
    session, models, clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(9):
        session.annotate(index, clip.masks[index])
    given: list[list[int]] = []

    def see(frames, marks, *arguments, **options):
        given.append(sorted(marks))
        return segment(frames, marks, *arguments, **options)

    monkeypatch.setattr("vos.demo.engine.segment", see)
    assert run(session, models, "onwards", 8) == [8, 9]
    assert given == [[2, 3, 4, 5, 6, 7, 8]]
