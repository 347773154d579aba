"""A session keeps marks, undoes them, and leaves no file behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vos.demo.limits import Limits
from vos.demo.session import Session
from vos.errors import VosError
from vos.segmentation.mask_store import Mark


@pytest.fixture
def session(tmp_path, clip) -> Session:
    session = Session(tmp_path / "session", Limits())
    session.open(session.adopt(_copy(clip.path, tmp_path)), name="../a b/c")
    return session


def _copy(path: Path, folder: Path) -> Path:
    return Path(shutil.copy(path, folder / "upload.mp4"))


def test_names_are_safe_for_files(session):
    assert session.clip.name == "a-b-c"


def test_marks_and_undo(session, clip):
    session.annotate(0, clip.masks[0])
    assert [item.id for item in session.objects] == [1, 2]
    without = np.where(clip.masks[0] == 2, 0, clip.masks[0]).astype(np.uint8)
    session.annotate(0, without)
    assert session.clip.marks == {0: Mark(frozenset({1}), frozenset({2}))}
    session.position = 7
    assert session.undo() == "Undone on frame 0." and session.position == 0
    np.testing.assert_array_equal(session.mask(0), clip.masks[0])
    assert session.clip.marks == {0: Mark(frozenset({1, 2}))}
    assert session.undo() == "Undone on frame 0."
    assert session.clip.marks == {} and not session.has_mask(0)
    assert np.isnan(session.clip.confidence[0])
    assert session.undo() is None


def test_removing_an_object_takes_it_out_of_every_mask(session, clip):
    for index in (0, 3):
        session.annotate(index, clip.masks[index])
    session.remove_object(1)
    assert all((session.mask(index) != 1).all() for index in (0, 3))
    assert [item.id for item in session.objects] == [2]
    assert session.active == 2


def test_a_removed_object_comes_back_to_the_pixel(session, clip):
    for index in range(5):
        session.annotate(index, clip.masks[index])
    session.objects.change(1, name="the cup", colour="#123456")
    session.remove_object(1)
    assert session.add_object().id == 3, "an id that may come back is not given away"
    session.annotate(3, np.where(session.mask(3) == 2, 3, session.mask(3)).astype(np.uint8))
    assert session.undo() == "Undone on frame 3."
    assert session.undo() == "the cup is back."
    assert (session.objects[1].name, session.objects[1].colour) == ("the cup", "#123456")
    assert session.active == 1
    for index in range(5):
        np.testing.assert_array_equal(session.mask(index), clip.masks[index])
    assert session.undo() == "Undone on frame 4.", "what was done before can still be undone"


def test_what_was_undone_is_done_again(session, clip):
    session.annotate(2, clip.masks[2])
    session.objects.change(1, name="the cup", colour="#123456")
    session.remove_object(1)
    assert session.redo() is None, "nothing was undone yet"
    session.undo(), session.undo()
    assert not session.has_mask(2) and session.objects[1].name == "the cup"
    session.position = 9
    assert session.redo() == "Done again on frame 2." and session.position == 2
    np.testing.assert_array_equal(session.mask(2), clip.masks[2])
    assert session.redo() == "the cup is removed again."
    assert [item.id for item in session.objects] == [2] and session.active == 2
    assert not (session.mask(2) == 1).any() and session.redo() is None
    assert session.undo() == "the cup is back."
    assert session.objects[1].colour == "#123456" and session.active == 1
    np.testing.assert_array_equal(session.mask(2), clip.masks[2])
    session.annotate(4, clip.masks[4])
    assert session.redo() is None, "something else was done since"


def test_wrong_masks_are_refused(session):
    with pytest.raises(VosError, match="320 x 180"):
        session.annotate(0, np.zeros((4, 5), np.uint8))
    with pytest.raises(VosError, match="no frame 99"):
        session.annotate(99, np.zeros(session.clip.size, np.uint8))


def test_a_new_video_removes_the_old_work(session, clip, tmp_path):
    session.annotate(0, clip.masks[0])
    old = session.clip.video.path
    session.open(session.adopt(_copy(clip.path, tmp_path)))
    assert not old.exists() and session.masked_frames() == []


def test_a_broken_video_leaves_the_old_work(session, clip, tmp_path):
    session.annotate(0, clip.masks[0])
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is no video")
    with pytest.raises(VosError):
        session.open(session.adopt(broken))
    np.testing.assert_array_equal(session.mask(0), clip.masks[0])
    assert session.clip.frames[0].shape == (180, 320, 3)


@pytest.mark.parametrize(
    "limits, words",
    [
        (Limits(megabytes=0), "MB, the limit is 0 MB"),
        (Limits(frames=5), "10 frames, the limit is 5"),
        (Limits(megapixels=0.01), "320 x 180 pixels"),
    ],
)
def test_limits_say_what_to_do(tmp_path, clip, limits, words):
    session = Session(tmp_path / "session", limits)
    with pytest.raises(VosError, match=words):
        session.open(clip.path)
    assert not session.has_clip


def test_visitors_who_upload_the_same_file_do_not_touch_each_other(tmp_path, clip):
    upload = _copy(clip.path, tmp_path)  # uploads are named by what they contain
    anna, bert = (Session(tmp_path / name, Limits()) for name in ("anna", "bert"))
    for each in (anna, bert):
        each.open(each.adopt(upload))
    anna.close()
    assert upload.exists() and bert.clip.frames[3].shape == (180, 320, 3)
    bert.close()
    assert not upload.exists()


@pytest.mark.parametrize(
    "limits, words",
    [
        (Limits(), "not an image"),
        (Limits(megabytes=0), "limit is 0 MB"),
        (Limits(picture_megapixels=0.001), "0.001"),
    ],
)
def test_what_is_no_picture_leaves_the_one_before(tmp_path, limits, words):
    session = Session(tmp_path / "session", Limits())
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.new("RGB", (60, 40)).save(good)
    session.adopt_background(good)
    session.limits = limits
    bad.write_bytes(b"no picture" if limits == Limits() else good.read_bytes())
    with pytest.raises(VosError, match=words):
        session.adopt_background(bad)
    assert session.background.exists()
    session.discard()
    assert session.background is None and not good.exists()
    assert not list(session.folder.glob("background*"))


def test_an_upload_that_is_gone_is_asked_for_again(tmp_path):
    with pytest.raises(VosError, match=r"gone.mp4 is no longer here: upload it again"):
        Session(tmp_path / "session", Limits()).adopt(tmp_path / "gone.mp4")


def test_closing_leaves_nothing(session, clip):
    session.annotate(0, clip.masks[0])
    session.close()
    assert not session.folder.exists()
