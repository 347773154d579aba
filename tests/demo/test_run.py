"""Runs wait for their turn, go on by themselves, and end when they are told to."""

from __future__ import annotations

import threading

import pytest

from vos.demo.engine import Models, plan
from vos.demo.limits import Limits
from vos.demo.run import Run
from vos.demo.session import Session
from vos.demo.turns import Turns


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def start(tmp_path, clip, turns):
    """Starts the run of a new session with one marked frame."""
    models = Models("cpu")

    def begin(name: str, model: str = "lab") -> tuple[Session, Run]:
        session = Session(tmp_path / name, Limits())
        session.open(clip.path)
        session.annotate(0, clip.masks[0])
        passes = plan(session, "whole", 0)
        run = Run(session, models, turns, model=model, preset_name="default", passes=passes)
        run.start()
        return session, run

    return begin


def test_one_at_a_time_in_order(start, turns):
    with turns.turn():
        anna, first = start("anna")
        bert, second = start("bert")
        carl, third = start("carl")
        assert (first.place, second.place, third.place) == (1, 2, 3)
        assert anna.busy and first.step is None
        bert.stop.set()  # who waits can go
        assert second.finished.wait(20) and second.step is None and not bert.busy
        assert third.place == 2
    assert first.finished.wait(60) and third.finished.wait(60)
    assert first.step is not None and first.step.done == first.step.total == 10
    assert anna.masked_frames() == carl.masked_frames() == list(range(10))
    assert bert.masked_frames() == [0] and not anna.busy and len(turns) == 0


def test_what_went_wrong_is_told_and_the_next_one_works(start):
    session, run = start("anna", model="no such model")
    assert run.finished.wait(60)
    assert "no such model" in str(run.error) and not session.busy
    _, second = start("bert")
    assert second.finished.wait(60) and second.error is None


def test_a_session_that_ends_ends_its_run_and_leaves_no_file(start):
    session, run = start("anna")
    while run.step is None:
        assert not run.finished.wait(0.01)
    session.close()
    assert run.finished.is_set() and not session.folder.exists()


def test_a_turn_is_waited_for(turns):
    order = []

    def work(name):
        with turns.turn():
            order.append(name)

    with turns.turn():
        threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
        for count, thread in enumerate(threads, start=2):
            thread.start()
            while len(turns) < count:
                pass
        order.append("first")
    for thread in threads:
        thread.join(20)
    assert order == ["first", "a", "b"]
