"""Points and boxes as they are typed, and the masks that they make."""

from __future__ import annotations

import numpy as np
import pytest

from vos.errors import UsageError
from vos.media import open_video
from vos.segmentation.prompts import Prompt, parse_prompts, prompted_masks


@pytest.mark.parametrize(
    "kind, text, values, object_id, frame",
    [
        ("point", "310,200", (310, 200, True), 1, "0"),
        ("point", "310,200,-", (310, 200, False), 1, "0"),
        ("point", "12:3=310, 200", (310, 200, True), 3, "12"),
        ("point", "shot:01:2=0,5,-", (0, 5, False), 2, "shot:01"),
        ("box", "7=1,2,30,40", (1, 2, 30, 40), 7, "0"),
        ("box", "00012:1,2,30,40", (1, 2, 30, 40), 1, "00012"),
    ],
)
def test_what_is_typed(kind, text, values, object_id, frame):
    given = ([text], []) if kind == "point" else ([], [text])
    assert parse_prompts(*given) == [Prompt(kind, text, values, object_id, frame)]


@pytest.mark.parametrize(
    "kind, text, words",
    [
        ("point", "310", "is no point: give 310,200"),
        ("point", "-310,200", "is no point"),
        ("point", "1,2,3", "is no point"),
        ("point", "0=1,2", "objects are numbered from 1 to"),
        ("point", "999=1,2", "objects are numbered from 1 to"),
        ("box", "1,2,3", "is no box: give left,top"),
        ("box", "1,2,30,40,-", "is no box"),
    ],
)
def test_what_cannot_be_read(kind, text, words):
    with pytest.raises(UsageError, match=words):
        parse_prompts(*(([text], []) if kind == "point" else ([], [text])))


@pytest.fixture
def discs():
    """A video of two frames with a red disc and a blue one, their masks, and an extractor."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:96, :160]
    red = (rows - 48) ** 2 + (columns - 40) ** 2 < 24**2
    blue = (rows - 48) ** 2 + (columns - 110) ** 2 < 24**2
    frame = generator.normal((60, 150, 60), 6, (96, 160, 3))
    frame[red], frame[blue] = (200, 50, 40), (40, 50, 200)
    frame = frame.clip(0, 255).astype(np.uint8)
    from vos.segmentation import make_extractor

    video = open_video(np.stack([frame, frame]))
    return video, red, blue, make_extractor("lab,stride=4", "cpu")


def iou(mask, truth):
    return (mask & truth).sum() / (mask | truth).sum()


def test_each_object_on_its_frame_beside_masks_that_were_given(discs):
    video, red, blue, extractor = discs
    given = {
        1: np.where(np.arange(160) > 150, np.uint8(5), np.uint8(0)) * np.ones((96, 1), np.uint8)
    }
    prompts = parse_prompts(["40,48", "1:2=110,48"], ["1:20,20,66,76"])
    masks = prompted_masks(video, prompts, extractor, given)
    assert sorted(masks) == [0, 1]
    assert set(np.unique(masks[0])) == {0, 1} and set(np.unique(masks[1])) == {0, 1, 2, 5}
    assert iou(masks[0] == 1, red) > 0.8
    assert iou(masks[1] == 1, red) > 0.8 and iou(masks[1] == 2, blue) > 0.8
    assert (masks[1] == 5)[:, 155].all() and not (given[1] == 1).any(), "what was given stays"


def test_points_correct_what_was_given(discs):
    video, red, blue, extractor = discs
    given = {0: (red | blue).astype(np.uint8)}
    masks = prompted_masks(video, parse_prompts(["110,48,-"], []), extractor, given)
    assert masks[0][48, 110] == 0 and iou(masks[0] == 1, red) > 0.8


@pytest.mark.parametrize(
    "points, boxes, words",
    [
        (["2:5,5"], [], "has no frame 2"),
        (["x:5,5"], [], "has not the number of a frame"),
        (["500,5"], [], "`point` 500,5: the point 500, 5 lies outside the image"),
        (["5,5,-"], [], "give a first point that lies on the object"),
        ([], ["0,0,50,50", "5,5,60,60"], "an object has one box on a frame"),
        (["40,48", "40,48,-"], ["20,20,22,22"], "less than 4 x 4 pixels"),
    ],
)
def test_what_does_not_fit_the_video(discs, points, boxes, words):
    video, _, _, extractor = discs
    with pytest.raises(UsageError, match=words):
        prompted_masks(video, parse_prompts(points, boxes), extractor)
