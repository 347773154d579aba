"""`vos.Session`: the same masks as `vos.propagate`, kept on disk, corrected, undone and redone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import vos
from vos.backbones.inference import FeatureExtractor
from vos.errors import UsageError, VosError
from vos.progress import Stopwatch
from vos.propagation import PropagationConfig
from vos.segmentation.session import Session
from vos.segmentation.to_files import from_first_mask


@pytest.fixture
def session(frames, extractor, config, tmp_path: Path) -> Session:
    return vos.Session(frames, model=extractor, preset=config, folder=tmp_path / "session")


def state(session: Session) -> list[bytes]:
    masks = [session.mask(index).tobytes() for index in range(session.frame_count)]
    objects = (
        repr(object_id).encode() + known.tobytes()
        for object_id, known in sorted(session.object_confidence.items())
        if not np.isnan(known).all()
    )
    sure = b"".join([session.confidence.tobytes(), *objects])
    return [*masks, sure, repr(sorted(session.marks.items())).encode()]


@pytest.mark.parametrize("direction", ["both", "forward", "backward"])
def test_the_same_marks_give_the_same_masks_as_propagate(
    frames, masks, extractor, config, direction: str
) -> None:
    rng = np.random.default_rng(len(direction))
    for _ in range(2):
        chosen = rng.choice(10, rng.integers(2, 5), replace=False)
        given = {}
        for index in map(int, chosen):
            keep = [(2, 7), (2,), (7,)][rng.integers(3)]
            given[index] = np.where(np.isin(masks[index], keep), masks[index], 0).astype(np.uint8)
        with vos.Session(frames, model=extractor, preset=config) as session:
            for index, mask in given.items():  # in any order
                session.annotate(index, mask)
            ours = {frame.index: frame for frame in session.propagate(direction)}
            how = {"model": extractor, "preset": config, "direction": direction}
            theirs = {frame.index: frame for frame in vos.propagate(frames, given, **how)}
            assert ours.keys() == theirs.keys()
            for index, frame in theirs.items():
                np.testing.assert_array_equal(ours[index].mask, frame.mask)
                np.testing.assert_array_equal(session.mask(index), frame.mask)
                assert ours[index].ids == frame.ids


def test_whoever_carries_a_small_object_looks_at_it_on_the_finer_grid(frames, masks) -> None:
    coarse = PropagationConfig(short_side=48, enlarge=2, resampling="area")
    suits_small = dataclasses.replace(coarse, small_object=10**6)
    lines: set[int] = set()

    class Watched(FeatureExtractor):
        def __call__(self, shown):
            lines.update(frame.shape[0] for frame in shown)
            return super().__call__(shown)

    extractor = Watched(vos.load("lab,stride=4"), "cpu")
    for config, expected in ((coarse, 48), (suits_small, 72)):
        with vos.Session(frames, model=extractor, preset=config) as session:
            session.annotate(3, masks[3])
            ours = {frame.index: frame.mask for frame in session.propagate("forward")}
        how = {"model": extractor, "preset": config, "direction": "forward"}
        theirs = list(vos.propagate(frames, {3: masks[3]}, **how))
        benchmark = from_first_mask(
            vos.open_video(frames), {3: masks[3]}, extractor, config, Stopwatch(), None
        )
        alone = {frame.index: frame.mask for frame in benchmark}
        assert lines == {expected}
        lines.clear()
        for frame in theirs:
            np.testing.assert_array_equal(ours[frame.index], frame.mask)
            np.testing.assert_array_equal(alone[frame.index], frame.mask)


def test_confidence_is_known_where_masks_are(session, masks) -> None:
    session.annotate(4, masks[4])
    list(session.propagate("forward"))
    confidence = session.confidence
    assert np.isnan(confidence[:4]).all() and confidence[4] == 1
    assert ((confidence[5:] > 0) & (confidence[5:] <= 1)).all()


def test_the_confidence_of_a_frame_is_that_of_its_least_sure_object(session, masks) -> None:
    session.annotate(0, masks[0])
    session.annotate(6, np.where(masks[6] == 2, 2, 0))
    list(session.propagate())
    of = session.object_confidence
    assert sorted(of) == [2, 7] and of[2][0] == of[7][0] == of[2][6] == 1
    np.testing.assert_array_equal(session.confidence, np.minimum(of[2], of[7]))
    lost = session.least_sure_object(3)
    assert lost == (2 if of[2][3] < of[7][3] else 7)
    before = state(session)
    session.remove_object(lost)
    assert np.isnan(of[lost]).all()
    np.testing.assert_array_equal(session.confidence, of[9 - lost])
    session.undo()
    assert state(session) == before


def test_a_folder_that_was_saved_without_objects_is_as_sure_of_each(session, frames, masks) -> None:
    session.annotate(0, masks[0])
    list(session.propagate())
    session.save()
    session.close()
    saved = session.folder / "session.json"
    known = json.loads(saved.read_text())
    del known["objects"]
    saved.write_text(json.dumps(known))
    with vos.Session(frames, model=None, folder=session.folder) as again:
        for object_id in (2, 7):
            np.testing.assert_array_equal(again.object_confidence[object_id], again.confidence)


def test_a_correction_changes_what_follows_and_keeps_the_rest(session, masks) -> None:
    session.annotate(0, masks[0])
    list(session.propagate())
    before = [session.mask(index) for index in range(10)]
    renamed = np.where(masks[5] == 7, 9, masks[5]).astype(np.uint8)
    session.annotate(5, renamed)
    assert session.marks[5].erased == {7}
    indices = [frame.index for frame in session.propagate("forward", start=5)]
    assert indices == [5, 6, 7, 8, 9]
    for index in range(5):
        np.testing.assert_array_equal(session.mask(index), before[index])
    np.testing.assert_array_equal(session.mask(5), renamed)
    for index in range(6, 10):
        assert (session.mask(index) == 9).any() and not (session.mask(index) == 7).any()


def test_back_from_a_frame_carries_its_new_objects_back(session, masks) -> None:
    session.annotate(0, np.where(masks[0] == 2, 2, 0).astype(np.uint8))
    session.annotate(6, masks[6])
    indices = [frame.index for frame in session.propagate("backward", start=6)]
    assert sorted(indices) == list(range(7))
    assert all((session.mask(index) == 7).any() for index in range(3, 7))
    assert not session.has_mask(7)


def test_what_is_taken_away_stays_away(session, masks) -> None:
    session.annotate(0, masks[0])
    list(session.propagate())
    session.annotate(4, np.where(session.mask(4) == 2, 0, session.mask(4)).astype(np.uint8))
    list(session.propagate())
    assert all((session.mask(index) == 2).any() for index in range(4))
    assert all((session.mask(index) != 2).all() for index in range(4, 10))
    session.annotate(7, np.zeros_like(masks[7]))
    list(session.propagate())
    assert not any(session.mask(index).any() for index in range(7, 10))


def test_undo_and_redo_of_marks_removals_and_propagations(session, masks) -> None:
    states = [state(session)]

    def done() -> None:
        states.append(state(session))

    session.annotate(2, masks[2])
    done()
    list(session.propagate())
    done()
    session.annotate(6, np.where(masks[6] == 2, 7, 0).astype(np.uint8))
    done()
    list(session.propagate("forward", start=6))
    done()
    session.remove_object(7)
    done()
    session.clear(2)
    done()
    kinds = ["mark", "propagation", "mark", "propagation", "removal", "clear"]
    for number in reversed(range(6)):
        assert session.undo().kind == kinds[number]
        assert state(session) == states[number]
    assert session.undo() is None
    for number in range(6):
        assert session.redo().kind == kinds[number]
        assert state(session) == states[number + 1]
    assert session.redo() is None
    session.undo()
    session.annotate(8, masks[8])
    assert session.redo() is None, "a new change leaves nothing to redo"


def test_undo_goes_fifty_steps_back_and_keeps_no_more_files(session, masks) -> None:
    for step in range(60):
        session.annotate(0, np.roll(masks[0], step, 1))
    assert len(list(session.folder.glob(".undo*/*"))) == 50
    assert sum(session.undo() is not None for _ in range(60)) == 50
    np.testing.assert_array_equal(session.mask(0), np.roll(masks[0], 9, 1))


def test_a_run_that_is_left_keeps_what_was_done_and_is_undone_as_a_whole(session, masks) -> None:
    session.annotate(0, masks[0])
    stream = session.propagate()
    for _ in range(4):
        next(stream)
    with pytest.raises(UsageError, match="under way"):
        session.annotate(5, masks[5])
    stream.close()
    assert session.masked_frames() == [0, 1, 2, 3]
    session.undo()
    assert session.masked_frames() == [0]


def test_a_part_of_the_video(session, masks) -> None:
    session.annotate(3, masks[3])
    indices = [frame.index for frame in session.propagate(first=2, last=6)]
    assert indices == [3, 4, 5, 6, 2]


def test_folders(frames, extractor, masks, tmp_path: Path) -> None:
    with vos.Session(frames, model=extractor) as session:
        session.annotate(0, masks[0])
        folder = session.folder
        assert session.mask_path(0).is_file()
    assert not folder.exists()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        vos.Session(frames, model=extractor, folder=tmp_path / "work")
    kept = vos.Session(frames, model=extractor, folder=tmp_path / "new")
    kept.annotate(0, masks[0])
    kept.close()
    assert kept.mask_path(0).is_file() and not list((tmp_path / "new").glob(".undo*"))


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ({}, "no frame shows an object"),
        ({"direction": "sideways"}, "no direction 'sideways'"),
        ({"direction": "forward", "start": 3}, "frame 3 shows no object"),
        ({"direction": "forward", "start": 10}, "has no frame 10"),
        ({"direction": "both", "start": 0}, "start is for one direction"),
        ({"direction": "backward", "start": 1, "last": 0}, "lies outside the frames 0 to 0"),
    ],
)
def test_what_cannot_be_propagated_is_refused_by_the_call(session, how, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        session.propagate(**how)


def test_wrong_marks_are_refused(session, masks) -> None:
    for index, mask, what in (
        (10, masks[0], "has no frame 10"),
        (0, masks[0][:, :48], "48 x 64 pixels"),
        (0, masks[0].astype(int) - 5, "holds the value -5"),
    ):
        with pytest.raises(VosError, match=what):
            session.annotate(index, mask)
    assert not session.marks and session.undo() is None


def test_a_generator_is_no_video_for_a_session(frames, extractor) -> None:
    with pytest.raises(UsageError, match="read once, forwards"):
        vos.Session((frame for frame in frames), model=extractor)


def test_a_saved_session_goes_on(frames, masks, extractor, config, session, tmp_path: Path) -> None:
    session.annotate(2, masks[2])
    session.annotate(7, np.where(masks[7] == 2, masks[7], 0))
    list(session.propagate())
    before = state(session)
    session.save()
    session.close()
    again = vos.Session(frames, model=extractor, preset=config, folder=session.folder)
    assert state(again)[:-2] == before[:-2] and state(again)[-1] == before[-1]
    np.testing.assert_allclose(again.confidence, session.confidence, atol=1e-4)
    for object_id, known in session.object_confidence.items():
        np.testing.assert_allclose(again.object_confidence[object_id], known, atol=1e-4)
    assert again.undo() is None
    with pytest.raises(UsageError, match=r"holds masks of 10 frames .* the video has 6"):
        vos.Session(frames[:6], model=None, folder=session.folder)
    (session.folder / "session.json").write_text('{"size": 3}')
    with pytest.raises(VosError, match="is damaged"):
        vos.Session(frames, model=None, folder=session.folder)


def test_masks_made_elsewhere_are_results_or_marks(session, masks) -> None:
    before = state(session)
    late = np.where(masks[3] == 2, masks[3], 0)
    assert session.import_masks([(2, late), (3, masks[3]), (4, masks[4])]) == ([2, 3, 4], [2, 3])
    assert sorted(session.marks) == [2, 3], "those on which an object shows first"
    np.testing.assert_array_equal(session.mask(4), masks[4])
    assert session.undo().kind == "import" and state(session) == before
    assert session.import_masks([(0, masks[0]), (9, masks[9])]) == ([0, 9], [0, 9])
    assert sorted(session.marks) == [0, 9], "frames between them are to be found"
    after = state(session)
    with pytest.raises(UsageError, match="has no frame 10"):
        session.import_masks([(1, masks[1]), (10, masks[0])])
    for nothing in ([], [(1, 0 * masks[1])]):
        with pytest.raises(UsageError, match="no object"):
            session.import_masks(nothing)
    assert state(session) == after, "all or nothing"
    assert session.undo().kind == "import" and state(session) == before


def test_what_is_done_after_saving_is_there_when_it_is_opened_again(session, frames, masks) -> None:
    session.annotate(0, masks[0])
    session.annotate(4, masks[4])
    session.save()
    session.clear(4)
    session.annotate(5, masks[5])
    session.annotate(5, np.where(masks[5] == 2, 0, masks[5]))
    session.annotate(6, masks[6])
    session.undo()
    expected = dict(session.marks)
    assert sorted(expected) == [0, 5] and expected[5].erased == {2}
    session.close()
    (session.folder / "masks" / "00001 copy.png").write_bytes(b"mine")
    (session.folder / "undo").mkdir()
    with vos.Session(frames, model=None, folder=session.folder) as again:
        assert dict(again.marks) == expected
        assert again.masked_frames() == [0, 5]
    assert (session.folder / "undo").exists(), "a folder of a person's own"
    assert not list(session.folder.glob(".undo*"))


def test_another_model_runs_where_the_session_does(frames, masks, monkeypatch) -> None:
    from vos.segmentation import session as module

    asked = []
    make = module.make_extractor

    def made(model, **how):
        asked.append(how)
        return make(model, **how)

    monkeypatch.setattr(module, "make_extractor", made)
    with Session(frames, model="lab", device="cpu", precision="float32") as opened:
        opened.annotate(0, masks[0])
        list(opened.propagate(model="lab,stride=4"))
    expected = {"device": "cpu", "precision": "float32", "frame_count": len(frames)}
    assert asked == [expected, expected]


def test_an_object_without_its_id_erases_nobody(session, masks) -> None:
    session.annotate(0, masks[0])
    binary = np.where(masks[5] == 2, 255, 0).astype(np.uint8)
    with pytest.raises(UsageError, match=r"frame 5 holds 0 and 255 alone, .* objects 2, 7: give"):
        session.annotate(5, binary)
    assert list(session.marks) == [0]


def test_a_closed_session_says_so(frames, masks) -> None:
    with Session(frames, model="lab", device="cpu") as session:
        session.annotate(0, masks[0])
        folder = session.folder
    for use in (
        lambda: session.mask(0),
        lambda: session.annotate(1, masks[1]),
        lambda: session.propagate(),
        lambda: session.save(),
    ):
        with pytest.raises(UsageError, match="the session is closed"):
            use()
    assert not folder.exists()


def test_a_session_that_is_closed_meanwhile_ends_its_propagation(frames, masks) -> None:
    session = Session(frames, model="lab", device="cpu")
    session.annotate(0, masks[0])
    stream = session.propagate()
    next(stream)
    session.close()
    with pytest.raises(UsageError, match="the session is closed"):
        next(stream)
    assert not session.folder.exists()


def test_frames_that_are_not_there_are_named(session, masks) -> None:
    session.annotate(3, masks[3])
    for asked in (
        lambda: session.propagate(last=99),
        lambda: session.propagate(first=99),
        lambda: session.least_sure_object(99),
    ):
        with pytest.raises(UsageError, match="no frame 99"):
            asked()
    with pytest.raises(UsageError, match="no marked frame from 5 to 8 shows an object"):
        session.propagate(first=5, last=8)


def test_masks_to_import_come_with_their_frames(session, masks) -> None:
    for given in ("masks", [masks[0]], [(1, 2, 3)]):
        with pytest.raises(UsageError, match="no pair of a frame index and a mask"):
            session.import_masks(given)


def test_a_closed_session_leaves_its_folder_to_be_read(frames, masks, tmp_path: Path) -> None:
    with Session(frames, model="lab", device="cpu", folder=tmp_path / "masks") as session:
        session.annotate(0, masks[0])
    np.testing.assert_array_equal(session.mask(0), masks[0])
    with pytest.raises(UsageError, match="the session is closed"):
        session.annotate(1, masks[1])
    assert not list((tmp_path / "masks").glob(".undo*"))
