"""`check_davis` finds each kind of damage and names the file it is in."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vos.datasets.check import check_davis
from vos.errors import MissingError, UsageError
from vos.media.masks import write_mask


def test_whole_folders(davis_2017, davis_2016):
    found = check_davis(davis_2017("ant", "bee"))
    assert (found.problems, found.sequences, found.frames, found.masks) == ((), 2, 8, 8)
    found = check_davis(davis_2016, year=2016)
    assert (found.problems, found.sequences, found.frames, found.masks) == ((), 2, 5, 5)


def test_every_kind_of_damage_is_found_in_one_pass(davis_2017):
    root = davis_2017("ant", "bee", frames=10)
    images, masks = root / "JPEGImages/480p/ant", root / "Annotations/480p/ant"
    (images / "00001.jpg").unlink()
    (images / "00002.jpg").write_bytes((images / "00002.jpg").read_bytes()[:300])
    Image.new("RGB", (30, 30)).save(images / "00003.jpg")
    (masks / "00004.png").unlink()
    (masks / "00005.png").write_bytes((masks / "00005.png").read_bytes()[:-30])
    Image.new("RGB", (40, 24)).save(masks / "00006.png")
    write_mask(masks / "00007.png", np.zeros((20, 20), np.uint8))
    write_mask(masks / "00008.png", np.full((24, 40), 7, np.uint8))
    (masks / "00009.png").write_bytes(b"")
    (root / "ImageSets/2017/val.txt").write_text("ant\nbee\ncat\n")
    found = {
        problem.path.relative_to(root).as_posix(): problem.what
        for problem in check_davis(root).problems
    }
    expected = {
        "JPEGImages/480p/ant/00001.jpg": "gap",
        "JPEGImages/480p/ant/00002.jpg": "truncated",
        "JPEGImages/480p/ant/00003.jpg": "30 x 30",
        "Annotations/480p/ant/00001.png": "without a frame",
        "Annotations/480p/ant/00004.png": "missing",
        "Annotations/480p/ant/00005.png": "damaged",
        "Annotations/480p/ant/00006.png": "RGB",
        "Annotations/480p/ant/00007.png": "20 x 20",
        "Annotations/480p/ant/00008.png": "object 7 is not in the first mask",
        "Annotations/480p/ant/00009.png": "empty",
        "JPEGImages/480p/cat": "missing",
    }
    assert found.keys() == expected.keys()
    for path, words in expected.items():
        assert words in found[path], path


def test_first_masks_only_are_whole_but_no_first_mask_is_not(davis_2017):
    root = davis_2017("ant")
    masks = sorted((root / "Annotations/480p/ant").glob("*.png"))
    for path in masks[1:]:
        path.unlink()
    assert check_davis(root).problems == ()
    write_mask(masks[0], np.zeros((24, 40), np.uint8))
    assert "holds no object" in str(check_davis(root).problems[0])
    masks[0].unlink()
    assert [problem.path for problem in check_davis(root).problems] == [masks[0]]


def test_a_broken_list_is_a_problem_of_its_own(davis_2017):
    root = davis_2017("ant")
    (root / "ImageSets/2017/train.txt").write_text("")
    (problem,) = check_davis(root).problems
    assert problem.path.name == "train.txt"
    assert check_davis(root, split="val").problems == ()


def test_nothing_to_check(tmp_path, davis_2017):
    with pytest.raises(MissingError, match="vos data download"):
        check_davis(tmp_path / "nowhere")
    with pytest.raises(MissingError, match="vos data download"):
        check_davis(tmp_path)
    with pytest.raises(UsageError, match="val"):
        check_davis(davis_2017("ant"), split="vla")


def test_hidden_files_are_no_part_of_a_data_set(davis_2017):
    root = davis_2017("ant")
    for hidden in (
        "ImageSets/2017/._val.txt",
        "JPEGImages/480p/ant/._00000.jpg",
        "JPEGImages/480p/ant/.DS_Store",
        "Annotations/480p/ant/._00000.png",
    ):
        (root / hidden).write_bytes(bytes.fromhex("00051607") + bytes(60))
    found = check_davis(root)
    assert (found.problems, found.splits, found.frames, found.masks) == ((), ("val",), 4, 4)


def test_one_frame_in_two_formats_and_an_empty_folder_are_problems(davis_2017):
    root = davis_2017("ant", "bee")
    frames = root / "JPEGImages/480p/ant"
    (frames / "00001.png").write_bytes((frames / "00001.jpg").read_bytes())
    for frame in (root / "JPEGImages/480p/bee").iterdir():
        frame.unlink()
    problems = [problem.what for problem in check_davis(root).problems]
    assert "holds both 00001.jpg and 00001.png" in problems[0]
    assert "holds no images" in problems[1]
