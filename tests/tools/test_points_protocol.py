"""Where the protocol of clicks clicks."""

from __future__ import annotations

import numpy as np
from points_protocol import innermost, next_click


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
