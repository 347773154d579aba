"""Overlays tint what they should and nothing else; contact sheets keep order and sizes."""

from __future__ import annotations

import numpy as np
import pytest

from vos.errors import UsageError
from vos.media import contact_sheet, overlay


@pytest.fixture
def frame() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)


@pytest.fixture
def mask() -> np.ndarray:
    mask = np.zeros((60, 80), np.uint8)
    mask[10:30, 10:30] = 1
    mask[10:30, 30:50] = 2
    mask[40:, 60:] = 7
    mask[50:, :20] = 255
    return mask


def test_only_objects_are_touched(frame: np.ndarray, mask: np.ndarray) -> None:
    before = frame.copy()
    drawn = overlay(frame, mask)
    np.testing.assert_array_equal(frame, before)
    outside = (mask == 0) | (mask == 255)
    np.testing.assert_array_equal(drawn[outside], frame[outside])
    assert (drawn[~outside] != frame[~outside]).any(axis=1).mean() > 0.99


def test_inside_the_tint_is_mixed_by_opacity(frame: np.ndarray, mask: np.ndarray) -> None:
    inside = (slice(12, 28), slice(12, 28))
    colour = overlay(frame, mask, 1.0)[15, 15].astype(int)
    assert colour[0] > colour[1] + 50, "object 1 is red"
    for opacity in (0.0, 0.3, 0.5):
        mixed = frame[inside] * (1 - opacity) + colour * opacity
        assert np.abs(overlay(frame, mask, opacity)[inside] - mixed).max() <= 1


def test_a_line_runs_along_every_edge_but_the_border_of_the_frame(mask: np.ndarray) -> None:
    drawn = overlay(np.zeros((60, 80, 3), np.uint8), mask, 0.0)
    line = drawn.any(axis=2)
    assert line[10:30, [10, 29, 30, 49]].all()
    assert line[[10, 29], 10:50].all()
    assert not line[11:29, 11:29].any()
    assert not line[42:, 79].any()
    assert (drawn[15, 29] != drawn[15, 30]).any()


def test_nothing_to_draw(frame: np.ndarray) -> None:
    for value in (0, 255):
        mask = np.full((60, 80), value, np.uint8)
        np.testing.assert_array_equal(overlay(frame, mask), frame)


def test_a_mask_that_does_not_fit(frame: np.ndarray, mask: np.ndarray) -> None:
    with pytest.raises(UsageError, match="does not lie over"):
        overlay(frame, mask[1:])
    with pytest.raises(UsageError, match="opacity"):
        overlay(frame, mask, 50)


def test_contact_sheet_lays_frames_out_in_reading_order() -> None:
    frames = [np.full((10, 20, 3), 10 * number, np.uint8) for number in range(5)]
    sheet = contact_sheet(iter(frames), 3, gap=2)
    assert sheet.shape == (22, 64, 3)
    assert [int(sheet[12 * row, 22 * column, 0]) for row in (0, 1) for column in range(3)] == [
        0, 10, 20, 30, 40, 255,
    ]  # fmt: skip
    assert (sheet[10:12] == 255).all()


def test_contact_sheet_sizes(frame: np.ndarray) -> None:
    assert contact_sheet([frame], 4).shape == frame.shape
    assert contact_sheet([frame] * 2, 2, cell_width=40, gap=0).shape == (30, 80, 3)
    tall = contact_sheet([frame, frame.transpose(1, 0, 2)], 2, gap=0)
    assert tall.shape == (60, 160, 3)
    assert (tall[:, 80:90] == 255).all()
    with pytest.raises(UsageError, match="at least one frame"):
        contact_sheet([], 3)


def test_own_colours_of_objects(frame: np.ndarray, mask: np.ndarray) -> None:
    colours = np.zeros((256, 3), np.uint8)
    colours[2] = (10, 200, 30)
    drawn = overlay(frame, mask, 1.0, colours=colours)
    assert (drawn[mask == 2] == (10, 200, 30)).all()
