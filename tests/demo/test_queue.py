"""Runs wait for their turn, go on by themselves, and end when they are told to."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from vos.demo.limits import Limits
from vos.demo.queue import Models, Run, RunQueue, propagate, work_of
from vos.demo.session import Session
from vos.errors import UsageError
from vos.propagation import preset
from vos.segmentation import propagate as plain_propagate


@pytest.fixture
def queue() -> RunQueue:
    return RunQueue()


@pytest.fixture(scope="module")
def models() -> Models:
    return Models("cpu")


@pytest.fixture
def session(tmp_path, small_clip) -> Session:
    session = Session(tmp_path / "session", Limits())
    session.open(small_clip.path)
    return session


@pytest.fixture
def start(tmp_path, small_clip, queue, models):
    """Starts the run of a new session with one marked frame."""

    def begin(name: str, model: str = "lab") -> tuple[Session, Run]:
        session = Session(tmp_path / name, Limits())
        session.open(small_clip.path)
        session.annotate(0, small_clip.masks[0])
        run = queue.start(session, models, "whole", model=model, preset="default")
        assert queue.run_of(session) is run
        return session, run

    return begin


def run(session, models, direction, frame=0):
    session.position = frame
    steps = propagate(session, models, direction, model="lab", preset="default")
    return [step.index for step in steps]


def test_the_page_gives_the_masks_that_the_library_gives(session, models, small_clip):
    marks = {2: small_clip.masks[2], 7: small_clip.masks[7] * (small_clip.masks[7] == 2)}
    for index, mask in marks.items():
        session.annotate(index, mask)
    order = run(session, models, "whole")
    assert sorted(order) == list(range(10))
    for index, _, mask in plain_propagate(small_clip.path, marks, model="lab", device="cpu"):
        np.testing.assert_array_equal(session.mask(index), mask)
    propagated = [session.mask(index) for index in range(10)]
    assert session.undo() == "The propagation is undone: masks are what they were before it."
    assert session.masked_frames() == [2, 7]
    assert session.redo() == "The propagation is done again: its masks are back."
    np.testing.assert_array_equal([session.mask(index) for index in range(10)], propagated)


def test_onwards_and_back_leave_the_other_side_as_it_is(session, models, small_clip):
    session.annotate(6, small_clip.masks[6])
    assert run(session, models, "back", 6) == [6, 5, 4, 3, 2, 1, 0]
    assert not session.has_mask(7)
    assert run(session, models, "onwards", 6) == [6, 7, 8, 9]


def test_the_trimmed_part(session, models, small_clip):
    session.clip.trim = (2, 6)
    session.annotate(3, small_clip.masks[3])
    assert sorted(run(session, models, "whole")) == [2, 3, 4, 5, 6]
    with pytest.raises(UsageError, match="outside the trimmed part"):
        run(session, models, "onwards", 8)


def test_stopping_keeps_what_was_done(session, models, small_clip):
    session.annotate(0, small_clip.masks[0])
    for step in propagate(session, models, "whole", model="lab", preset="default"):
        assert step.total == 10
        if step.index == 3:
            session.stop.set()
    assert session.masked_frames() == [0, 1, 2, 3]


def test_nothing_to_start_from(session, models):
    with pytest.raises(UsageError, match="Mark an object"):
        run(session, models, "whole")
    with pytest.raises(UsageError, match="shows no object"):
        run(session, models, "onwards")


def test_one_at_a_time_in_order(start, queue):
    with queue.turn():
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
    assert bert.masked_frames() == [0] and not anna.busy and len(queue) == 0


def test_what_a_run_took_is_known_to_the_next(start, queue, models, monkeypatch):
    monkeypatch.setattr("vos.demo.queue._FRAMES_TOLD", 10)
    session, run = start("anna")
    assert run.finished.wait(300)
    rate = queue.rates[work_of(session, models, "lab", "default")]
    assert rate == run.step.seconds / 10


def test_what_small_objects_take_is_known_apart(session, models):
    usual = preset("default")
    assert work_of(session, models, "lab", "default") == ("lab", usual, (46, 80))
    half = np.zeros((46, 80), np.uint8)
    half[:, :40] = 1
    session.annotate(0, half)
    assert work_of(session, models, "lab", "default").config == usual
    speck = np.zeros((46, 80), np.uint8)
    speck[5:7, 5:7] = 5
    session.annotate(3, speck)
    assert work_of(session, models, "lab", "default").config == usual.finer()
    assert work_of(session, models, "lab", "fast").config == preset("fast")


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


def test_a_turn_is_waited_for(queue):
    order = []

    def work(name):
        with queue.turn():
            order.append(name)

    with queue.turn():
        threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
        for count, thread in enumerate(threads, start=2):
            thread.start()
            while len(queue) < count:
                pass
        order.append("first")
    for thread in threads:
        thread.join(20)
    assert order == ["first", "a", "b"]


def test_memory_that_ran_out_is_told(start, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    monkeypatch.setattr("vos.demo.queue.Models.get", full)
    _, run = start("full")
    assert run.finished.wait(60)
    assert str(run.error) == "out of memory (20.00 GiB could not be had); masks so far are kept"
