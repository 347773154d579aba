"""Segmenting any stream of frames in one direction, and the sizes that a protocol asks for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vos.errors import UsageError, VosError
from vos.progress import Stopwatch
from vos.propagation import Propagator
from vos.propagation.frame_size import resize_frame
from vos.segmentation import segment


def test_frames_of_several_sizes_are_refused_by_number(frames, masks, extractor, config) -> None:
    mixed = [(0, frames[0]), (1, frames[1]), (2, frames[2][:32])]
    stream = segment(mixed, {0: masks[0]}, extractor, config)
    with pytest.raises(VosError, match="frame 2 is 96 x 32 pixels, the frames before it 96 x 64"):
        list(stream)


def test_the_first_frame_needs_an_annotation(frames, masks, extractor, config) -> None:
    with pytest.raises(UsageError, match="annotate a frame"):
        list(segment(enumerate(frames), {1: masks[1]}, extractor, config))


def test_an_annotation_of_another_size_is_refused(frames, masks, extractor, config) -> None:
    with pytest.raises(UsageError, match="the mask of frame 0 is 48 x 64 pixels, the frame 96 x"):
        list(segment(enumerate(frames), {0: masks[0][:, :48]}, extractor, config))


def test_masks_have_the_size_of_the_frames_whatever_the_backbone_sees(
    frames, masks, extractor, config
) -> None:
    smaller = config.with_settings({"short_side": "40"})
    result = list(segment(enumerate(frames[:3]), {0: masks[0]}, extractor, smaller))
    assert all(frame.mask.shape == frames[0].shape[:2] for frame in result)


def test_time_is_taken_by_stage(frames, masks, extractor, config) -> None:
    stopwatch = Stopwatch()
    list(segment(enumerate(frames[:3]), {0: masks[0]}, extractor, config, stopwatch=stopwatch))
    assert set(stopwatch.seconds) == {"features", "propagation"}
    assert all(seconds > 0 for seconds in stopwatch.seconds.values())


def test_protocols_that_follow_flow_get_it_from_the_frame_before(
    frames, masks, extractor, config, monkeypatch
) -> None:
    """Backwards too, across a jump, and where a frame is annotated midway."""
    given: dict[int, np.ndarray | None] = {}
    step = Propagator.step

    def watched(self, index, features, flow=None):
        given[index] = flow
        return step(self, index, features, flow)

    monkeypatch.setattr(Propagator, "step", watched)
    order = [8, 4, 2]  # object 2 moves by 2 columns per frame to the right, 7 to the left
    moving = dataclasses.replace(config, motion="flow")
    stream = [(index, frames[index]) for index in order]
    one = np.where(masks[4] == 2, 2, 0).astype(np.uint8)  # the other is found by a step
    result = list(segment(stream, {8: masks[8], 4: one}, extractor, moving))
    assert [frame.index for frame in result] == order
    assert list(given) == [4, 2]
    for index, before in ((4, 8), (2, 4)):
        flow = given[index]
        for object_id, speed in ((2, 2), (7, -2)):
            across = float(np.median(flow[masks[index] == object_id, 0]))
            assert across == pytest.approx(speed * (before - index), abs=0.7)
    np.testing.assert_array_equal(result[1].mask == 2, masks[4] == 2)

    given.clear()
    list(segment(stream, {8: masks[8]}, extractor, config))
    assert given == {4: None, 2: None}


@pytest.mark.parametrize("resampling", ["bilinear", "bicubic", "area"])
def test_resizing_keeps_a_flat_picture_flat(resampling) -> None:
    flat = np.full((31, 47, 3), 77, np.uint8)
    for size in ((16, 24), (62, 94), (31, 47)):
        resized = resize_frame(flat, size, resampling)
        assert resized.shape == (*size, 3)
        assert (resized == 77).all()


def test_area_averages_when_shrinking() -> None:
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::2] = 200
    assert (resize_frame(stripes, (4, 4), "area") == 100).all()
