"""No output may be an input: by path, by link, by hard link, as a folder, or as another output."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vos.errors import UsageError, VosError
from vos.runs.paths import Input, Output, check_paths


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"film")
    return path


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    folder = tmp_path / "shot"
    folder.mkdir()
    for index in range(3):
        (folder / f"{index}.png").write_bytes(b"%d" % index)
    return folder


def frames(shot: Path) -> Input:
    return Input("the frames", shot, lambda name: name.endswith(".png"), tuple(shot.iterdir()))


def refused(inputs: list[Input], path: Path, match: str, *, folder: bool = False) -> None:
    with pytest.raises(UsageError, match=match):
        check_paths(inputs, [Output("the result", path, folder=folder)])


def test_a_file_that_is_read(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = [Input("the video", clip)]
    refused(video, clip, "is the video")
    refused(video, tmp_path / "x" / ".." / "clip.mp4", "is the video")
    (tmp_path / "soft.mp4").symlink_to(clip)
    refused(video, tmp_path / "soft.mp4", "is the video")
    os.link(clip, tmp_path / "hard.mp4")
    refused(video, tmp_path / "hard.mp4", "is another name of the video")
    (tmp_path / "here").symlink_to(tmp_path)
    refused(video, tmp_path / "here" / "clip.mp4", "is the video")
    monkeypatch.chdir(tmp_path)
    refused([Input("the video", Path("clip.mp4"))], clip, "is the video")
    refused([Input("the video", tmp_path / "soft.mp4")], clip, "is the video")
    check_paths(video, [Output("the result", tmp_path / "other.mp4")])


def test_a_folder_that_is_read(shot: Path, tmp_path: Path) -> None:
    refused([frames(shot)], shot, "holds the frames", folder=True)
    refused([frames(shot)], tmp_path, "holds the frames", folder=True)
    refused([frames(shot)], shot / "new.png", "would be read with it")
    refused([frames(shot)], shot / "0.png", "would be read with it")
    refused([frames(shot)], shot / "masks.png", "would be read with it", folder=True)
    os.link(shot / "1.png", tmp_path / "one.png")
    refused([frames(shot)], tmp_path / "one.png", "is another name of the frames")
    for path, folder in ((shot / "masks", True), (shot / "shown.mp4", False)):
        check_paths([frames(shot)], [Output("the result", path, folder=folder)])
    refused([Input("the data", shot)], shot / "shown.mp4", "would be read with it")
    refused([Input("the data", shot)], shot / "deep" / "er", "would be read", folder=True)


def test_two_outputs_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "here").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="both the overlay and the run lengths"):
        check_paths(
            [],
            [
                Output("the overlay", tmp_path / "x.mp4"),
                Output("the run lengths", tmp_path / "here" / "x.mp4"),
            ],
        )


def test_a_file_for_a_folder_and_a_folder_for_a_file(clip: Path, shot: Path) -> None:
    refused([], clip, "is a file", folder=True)
    refused([], shot, "is a folder")


def test_a_link_to_nowhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "gone")
    for path in (tmp_path / "out", tmp_path / "out" / "masks"):
        with pytest.raises(UsageError, match=r"is a link to .*gone, which is not there"):
            check_paths([], [Output("the masks", path, folder=True)])


def test_a_place_below_a_file_is_refused(clip: Path) -> None:
    with pytest.raises(UsageError, match=r"clip\.mp4 is a file, not a folder"):
        check_paths([], [Output("the run lengths", clip / "deep" / "shot.json")])


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("vos.runs.paths.is_writable", lambda folder: folder != tmp_path)
    for output in (
        Output("the overlay", tmp_path / "new" / "overlay.mp4"),
        Output("the masks", tmp_path / "masks", folder=True),
    ):
        with pytest.raises(VosError, match="cannot write"):
            check_paths([], [output])
    there = tmp_path / "overlay.mp4"
    there.touch()
    check_paths([], [Output("the overlay", there)])  # a run that is done need not write it
