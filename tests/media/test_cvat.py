"""CVAT's XML: whose shape it is, where it lies, and what of it is no mask for certain."""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path

import numpy as np
import pytest

from vos.errors import UsageError, VosError
from vos.media.cvat import holds_cvat, read_cvat

SIZE = (32, 48)
SQUARE = '<polygon {} points="10.00,8.00;30.00,8.00;30.00,20.00;10.00,20.00" z_order="{}"/>'
# Rows of 4: two of background and two of the object; one of the object and three of background.
MASK = '<mask {} rle="2, 3, 3" left="20" top="5" width="4" height="2" z_order="{}"/>'


def video(*tracks: str, size: str = "") -> str:
    return f"<annotations><version>1.1</version><meta>{size}</meta>{''.join(tracks)}</annotations>"


def images(*shapes: str) -> str:
    """One image per text."""
    inside = (
        f'<image id="{i}" name="cam/shot_{i + 8}.png" width="48" height="32">{text}</image>'
        for i, text in enumerate(shapes)
    )
    return f"<annotations><version>1.1</version>{''.join(inside)}</annotations>"


@pytest.fixture
def read(tmp_path: Path):
    def read(text: str, **how: bool):
        (tmp_path / "given.xml").write_text(text)
        found = read_cvat(tmp_path / "given.xml", size=SIZE, **how)
        return found.names, dict(found.masks)

    return read


def test_masks_are_unrolled_by_rows_from_their_corner(read) -> None:
    names, masks = read(images("", MASK.format('label="dog"', 0)))
    expected = np.zeros(SIZE, np.uint8)
    expected[5, 22:24] = expected[6, 20] = 1
    assert names == {1: "dog"} and list(masks) == ["shot_9"]
    np.testing.assert_array_equal(masks["shot_9"], expected)


def test_a_track_is_an_object_by_frame_number_while_it_is_shown(read) -> None:
    size = "<task><original_size><width>48</width><height>32</height></original_size></task>"
    shown = [
        SQUARE.format(f'frame="{frame}" outside="{int(frame == 4)}"', 0) for frame in (2, 3, 4)
    ]
    other = MASK.format('frame="3" outside="0"', 1), MASK.format('frame="5" outside="0"', 1)
    names, masks = read(
        video(
            f'<track id="7" label="dog">{"".join(shown)}</track>',
            f'<track id="8" label="dog">{"".join(other)}</track>',
            size=size,
        )
    )
    assert names == {1: "dog 1", 2: "dog 2"}
    assert {frame: np.unique(mask).tolist() for frame, mask in masks.items()} == {
        2: [0, 1],
        3: [0, 1, 2],
        5: [0, 2],
    }
    inside = np.zeros(SIZE, bool)
    inside[8:20, 10:30] = True
    np.testing.assert_array_equal(masks[2] == 1, inside)


def test_what_is_in_front_hides_what_is_behind(read) -> None:
    back, front = SQUARE.format('label="a"', 1), SQUARE.format('label="b"', 0)
    assert np.unique(read(images(back + front))[1]["shot_8"]).tolist() == [0, 1]
    back, front = SQUARE.format('label="a"', 0), SQUARE.format('label="b"', 0)
    assert np.unique(read(images(back + front))[1]["shot_8"]).tolist() == [0, 2]


def test_shapes_of_one_label_are_one_object_on_several_frames(read) -> None:
    dog, cat = SQUARE.format('label="dog"', 0), MASK.format('label="cat"', 1)
    names, masks = read(images(dog, cat + dog))
    assert names == {1: "dog", 2: "cat"}
    assert [np.unique(mask).tolist() for mask in masks.values()] == [[0, 1], [0, 1, 2]]
    shown, gone = (SQUARE.format(f'frame="{{}}" outside="{out}"', 0) for out in (0, 1))
    single = [
        f'<track id="{i}" label="dog">{shown.format(i)}{gone.format(i + 1)}</track>' for i in (0, 5)
    ]
    assert read(video(*single))[0] == {1: "dog"}


def test_two_of_one_label_are_two_objects_on_one_frame_and_in_doubt_on_several(read) -> None:
    two = SQUARE.format('label="dog"', 0) + MASK.format('label="dog"', 1)
    assert read(images(two))[0] == {1: "dog 1", 2: "dog 2"}
    with pytest.raises(UsageError, match="2 shapes on frame shot_8 are 'dog'"):
        read(images(two, two))
    groups = (
        SQUARE.format('label="dog" group_id="3"', 0),
        MASK.format('label="dog" group_id="4"', 1),
    )
    assert read(images("".join(groups), groups[1]))[0] == {1: "dog 1", 2: "dog 2"}


def test_a_box_is_a_mask_only_if_that_is_asked_for(read) -> None:
    box = '<box label="dog" xtl="10" ytl="8" xbr="30" ybr="20" {}/>'
    with pytest.raises(UsageError, match=r"has 1 boxes.*`fill_boxes=True`"):
        read(images(box.format("")))
    mask = read(images(box.format("")), fill_boxes=True)[1]["shot_8"]
    assert mask[8:20, 10:30].all() and mask.sum() == 12 * 20
    turned = read(images(box.format('rotation="90"')), fill_boxes=True)[1]["shot_8"]
    assert turned[4:24, 14:26].all() and turned.sum() == 12 * 20


def test_a_box_turns_clockwise(read) -> None:
    long = '<box label="dog" xtl="14" ytl="14" xbr="34" ybr="18" rotation="45"/>'
    mask = read(images(long), fill_boxes=True)[1]["shot_8"]
    assert mask[20, 28] and not mask[12, 28], "its right end goes down"


def test_an_ellipse_has_its_area(read) -> None:
    mask = read(images('<ellipse label="dog" cx="24" cy="16" rx="12" ry="6"/>'))[1]["shot_8"]
    assert mask.sum() == pytest.approx(np.pi * 12 * 6, rel=0.03)
    assert mask[16, 13] and not mask[8, 24]


def test_lines_are_left_out_and_told(read, caplog: pytest.LogCaptureFixture) -> None:
    points = '<points label="nose" points="3.00,4.00"/>'
    with caplog.at_level(logging.WARNING, "vos"):
        assert read(images(points + SQUARE.format('label="dog"', 0)))[0] == {1: "dog"}
    assert "left out what covers no area: 1 points" in caplog.text


def test_an_archive_of_cvat_is_known_by_its_file(tmp_path: Path) -> None:
    for name in ("annotations.xml", "default/instances/labels.txt"):
        with zipfile.ZipFile(tmp_path / "given.zip", "w") as archive:
            archive.writestr(name, images(SQUARE.format('label="dog"', 0)))
        assert holds_cvat(tmp_path / "given.zip") == name.endswith("xml")
        if name.endswith("xml"):
            assert read_cvat(tmp_path / "given.zip", size=SIZE).names == {1: "dog"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<annotations>", "is not XML"),
        ("<annotation/>", "is no file of CVAT: it holds 'annotation'"),
        (images(MASK.format("", 0)), "no file of CVAT 1.1: KeyError.'label'"),
        (images(SQUARE.format('label="dog"', "front")), "no file of CVAT 1.1"),
        (images(MASK.format('label="dog"', 0).replace('"20"', '"46"')), "reaches beyond 48 x 32"),
        (images(MASK.format('label="dog"', 0).replace("3, 3", "3")), "a mask on frame shot_8"),
        (images('<polygon label="dog" points="1,2;3,4"/>'), "three corners or more"),
        (images('<polygon label="dog" points="1,2;nan,4;5,6"/>'), "are numbers"),
        (images(*[SQUARE.format(f'label="{i}"', 0) for i in range(255)]), "255 objects: at most"),
    ],
)
def test_damaged_files_are_told_in_a_line(read, text: str, says: str) -> None:
    with pytest.raises(VosError, match=says):
        read(text)
