"""Sizes at which frames are shown to a backbone, worked out by hand."""

import dataclasses

import numpy as np
import pytest

from vos.errors import UsageError
from vos.propagation import PropagationConfig, frame_size, preset
from vos.propagation.frame_size import suited


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((480, 890), (480, 832)),  # 13.9 x 64
        ((890, 480), (832, 480)),
        ((480, 854), (480, 832)),  # 13.3 x 64
        ((720, 1280), (480, 832)),  # 853 wide at 480
        ((480, 500), (480, 448)),  # 7.8 x 64
    ],
)
def test_dino_floors_the_long_side_to_whole_multiples_of_64(size, expected) -> None:
    assert frame_size(*size, preset("dino"), stride=16) == expected


def mask_with(*sides: int) -> np.ndarray:
    """Squares of so many pixels along each side, ids from 1, on 480 x 800: 8 pixels to a token."""
    mask = np.zeros((480, 800), np.uint8)
    for number, side in enumerate(sides):
        mask[10 : 10 + side, 100 * number : 100 * number + side] = number + 1
    return mask


@pytest.mark.parametrize(
    ("masks", "lines"),
    [
        ([mask_with(64)], 480),  # 64 tokens
        ([mask_with(63)], 720),
        ([mask_with(90, 40)], 720),  # one of them is small
        ([mask_with(90), mask_with(20, 40)], 720),  # the second one, where it begins
        ([mask_with(90), mask_with(20)], 480),  # it was large when it began
        ([np.full((480, 800), 255, np.uint8)], 480),
        ([mask_with(64)[::2, ::2]], 480),  # a video of 240 lines is enlarged first
        ([mask_with(32)[::2, ::2]], 720),
    ],
)
def test_small_objects_have_the_frames_looked_at_finer(masks, lines) -> None:
    config = suited(preset("default"), masks, stride=8)
    assert config.short_side == lines
    if lines == 480:
        assert config is preset("default")


def test_the_finer_protocol_reaches_as_far() -> None:
    coarse, fine = preset("default"), preset("default").finer()
    assert fine == preset("fine")
    for name in ("short_side", "enlarge", "radius", "motion_sigma"):
        assert getattr(fine, name) == 1.5 * getattr(coarse, name)
    rest = {name: getattr(coarse, name) for name in ("short_side", "enlarge", "radius")}
    assert dataclasses.replace(fine, **rest, motion_sigma=6, small_object=64) == coarse


def test_protocols_that_take_all_objects_alike_stay_as_they_are() -> None:
    tiny = [mask_with(3)]
    for name in ("fast", "thorough", "fine", "crw", "dino"):
        assert suited(preset(name), tiny, stride=8) is preset(name)
    native = PropagationConfig(small_object=64)
    assert suited(native, tiny, stride=8) is native, "the frames keep their size"


def test_less_than_nothing_is_no_number_of_tokens() -> None:
    with pytest.raises(UsageError, match="small_object cannot be negative"):
        PropagationConfig(small_object=-1)
