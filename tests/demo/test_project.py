"""A project is saved and opened again; nothing else is taken for one."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from vos.datasets import open_dataset
from vos.demo.downloads import write_download
from vos.demo.limits import Limits
from vos.demo.project import unpack_project
from vos.demo.session import Session
from vos.errors import VosError
from vos.media import write_mask


@pytest.fixture
def session(tmp_path, clip) -> Session:
    session = Session(tmp_path / "session", Limits())
    session.open(session.adopt(clip.path), name="my table")
    for index in (0, 6):
        session.annotate(index, clip.masks[index])
    session.annotate(6, np.where(clip.masks[6] == 1, 1, 0).astype(np.uint8))
    session.objects.change(2, name="<b>cup</b>", colour="#123456", locked=True)
    session.clip.trim = (1, 8)
    return session


@pytest.fixture
def other(tmp_path) -> Session:
    return Session(tmp_path / "other", Limits())


def test_all_comes_back_and_only_one_video_is_kept(session, other, clip):
    project = write_download(session, "project")
    other.open_project(project)
    first = {path for path in other.folder.rglob("*") if path.is_file()}
    other.open_project(project)
    assert not any(path.exists() for path in first), "the one before is removed"
    assert (other.clip.name, other.clip.trim) == ("my-table", (1, 8))
    assert list(other.objects) == list(session.objects) and other.position == 0
    assert dict(other.clip.marks) == dict(session.clip.marks)
    assert other.clip.marks[6].erased == {2}
    for index in range(10):
        np.testing.assert_array_equal(other.mask(index), session.mask(index))
        np.testing.assert_array_equal(other.clip.frames[index], session.clip.frames[index])
    other.annotate(3, clip.masks[3])
    assert sorted(other.clip.marks) == [0, 3, 6]
    other.close()
    assert not other.folder.exists() and clip.path.exists()


def test_frames_of_a_folder_travel_too(session, other):
    frames = open_dataset("sample").sequences[0].frame_paths[0].parent
    session.open(frames, name="frames")
    session.annotate(1, np.full(session.clip.size, 3, np.uint8))
    other.open_project(write_download(session, "project"))
    assert other.clip.video.frame_name(2) == session.clip.video.frame_name(2)
    assert [item.id for item in other.objects] == [1, 3]


def changed(project, tmp_path, **parts):
    """A copy of a project with other parts; None leaves one out."""
    path = tmp_path / "changed.zip"
    with zipfile.ZipFile(project) as old, zipfile.ZipFile(path, "w") as new:
        for name in {*old.namelist(), *parts}:
            content = parts.get(name, old.read(name) if name in old.namelist() else None)
            if content is not None:
                new.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "parts, words",
    [
        ({"project.json": None}, "is no project"),
        ({"project.json": b"[]"}, "is no project"),
        ({"project.json": b'{"vos project": 2}'}, "another version"),
        ({"work/session.json": None}, "holds no masks"),
        ({"work/session.json": b"{}"}, "is damaged"),
        ({"work/masks/00099.png": b""}, "frames that there are not"),
        ({"video/my-table.mp4": b"no video"}, "my-table.mp4"),
    ],
)
def test_what_is_no_project_leaves_the_work(session, clip, tmp_path, parts, words):
    project = changed(write_download(session, "project"), tmp_path, **parts)
    with pytest.raises(VosError, match=words) as told:
        session.open_project(project)
    assert "project-" not in str(told.value)
    np.testing.assert_array_equal(session.mask(0), clip.masks[0])
    assert not list(session.folder.glob("project-*"))


def test_nothing_is_unpacked_elsewhere_and_no_style_smuggled_in(session, other, tmp_path):
    project = write_download(session, "project")
    about = json.loads(zipfile.ZipFile(project).read("project.json"))
    names = ["../evil.png", "video/../../evil.png", "work/masks/../../../evil.png", "notes.txt"]
    evil = changed(project, tmp_path, **dict.fromkeys(names, b"x"))
    unpack_project(evil, tmp_path / "place", Limits())
    assert not list(tmp_path.rglob("evil.png")) and not list(tmp_path.rglob("notes.txt"))
    about["objects"][0]["colour"] = "red;} body {display: none"
    with pytest.raises(VosError, match="is no colour"):
        other.open_project(
            changed(project, tmp_path, **{"project.json": json.dumps(about).encode()})
        )
    with pytest.raises(VosError, match="more than may be opened"):
        unpack_project(project, tmp_path / "place", Limits(megabytes=0))


def test_a_zip_of_masks_is_taken_in(session, clip, tmp_path):
    for index in (2, 3, 5):
        session.annotate(index, clip.masks[index])
    masks = write_download(session, "png").rename(tmp_path / "masks.zip")
    session.discard()
    session.open(clip.path)
    assert session.import_masks([masks]) == (4, 1), "of 2, 3, 5 and 6, from 1 to 8"
    assert sorted(session.clip.marks) == [2]
    np.testing.assert_array_equal(session.mask(5), clip.masks[5])


def test_single_files_of_frames(session, clip, tmp_path):
    files = [tmp_path / f"{index:05d}.png" for index in (2, 5)]
    for file, index in zip(files, (2, 5), strict=True):
        write_mask(file, np.where(clip.masks[index] == 2, 7, 0).astype(np.uint8))
    assert session.import_masks(files) == (2, 2)
    assert session.position == 2 and 7 in session.objects
    np.testing.assert_array_equal(session.mask(5) == 7, clip.masks[5] == 2)
    assert session.undo() == "The masks that were taken in are gone again."
    assert sorted(session.clip.marks) == [0, 6]
