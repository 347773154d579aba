"""Multiply-adds are counted, not timed, for layers of every kind."""

from __future__ import annotations

import pytest
import torch

import vos
from vos.backbones.catalogue import multiply_adds


def test_a_network_is_counted_convolution_by_convolution() -> None:
    backbone = vos.load("small,width=4")
    before = {name: item.clone() for name, item in backbone.state_dict().items()}
    expected = 9 * 32 * 32 * 3 * 4
    expected += 9 * 16 * 16 * (4 * 8 + 8 * 8)
    expected += 9 * 8 * 8 * (8 * 16 + 16 * 16)
    assert multiply_adds(backbone, (32, 32)) == expected
    assert all(torch.equal(item, before[name]) for name, item in backbone.state_dict().items())


def test_scales_group_elements_and_deformed_taps_cost_what_they_should() -> None:
    plain = multiply_adds(vos.load("small,width=8"), (32, 32))
    # Whole dilations: three scales are three times the work, and blurs besides.
    scales = multiply_adds(vos.load("dss-small,width=8,base=2"), (32, 32))
    assert 3 <= scales / plain < 3.5
    # As many channels, as many operations, whatever the group; lifting is 5 x 5.
    units = [multiply_adds(vos.load(f"rotation-unet-{group}"), (64, 64)) for group in ("c1", "c8")]
    assert units[1] == pytest.approx(units[0], rel=0.15)
    deformed = multiply_adds(vos.load("deformable-small,width=8,deformed=1"), (32, 32))
    assert deformed == plain + 9 * 8 * 8 * 32 * 18  # the branch that predicts 18 offsets
