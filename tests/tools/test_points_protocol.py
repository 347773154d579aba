"""Where the protocol of clicks clicks."""

from __future__ import annotations

import numpy as np
from points_protocol import Example, innermost, measure, next_click

from vos.datasets import open_dataset
from vos.media import object_ids
from vos.segmentation import make_extractor
from vos.segmentation.interactive import InteractiveFrame


def test_the_innermost_point_is_furthest_from_the_border():
    region = np.zeros((40, 60), bool)
    region[5:26, 10:31] = True
    region[0:3, 40:60] = True
    assert innermost(region) == (20, 15)
    assert innermost(np.ones((11, 11), bool)) == (5, 5), "the frame ends there"


def test_the_next_click_is_on_the_largest_error():
    truth = np.zeros((40, 60), bool)
    truth[5:26, 10:31] = True
    mask = np.zeros_like(truth)
    mask[30:35, 40:45] = True
    click = next_click(mask, truth)
    assert (click.x, click.y, click.adds) == (20, 15, True)
    mask |= truth
    click = next_click(mask, truth)
    assert (click.x, click.y, click.adds) == (42, 32, False)
    assert next_click(truth, truth) is None


def test_clicks_and_boxes_find_the_objects_of_the_sample():
    (sequence,) = (s for s in open_dataset("sample").sequences if s.name == "drift")
    image, mask = sequence.frame(0), sequence.mask(0)
    frame = InteractiveFrame(image, make_extractor("icon-resnet18"))
    found = [measure(Example("drift", frame, mask == i)) for i in object_ids(mask)]
    assert np.mean([result.clicks[0] for result in found]) > 0.7
    assert np.mean([result.clicks[4] for result in found]) > 0.8
    assert np.mean([result.box for result in found]) > 0.6
