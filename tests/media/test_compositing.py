"""Pictures for editing: what is kept, what is behind it, and that nothing else is changed."""

from __future__ import annotations

import numpy as np
import pytest

from vos.media.compositing import (
    COMPOSITES,
    blur_background,
    covering,
    cut_out,
    matte,
    on_colour,
    replace_background,
    spotlight,
)

SIZE = (96, 128)
INSIDE = np.s_[36:56, 46:76]  # farther from the edge of the objects than it is soft
FAR = np.s_[:16]  # background that is far from them


@pytest.fixture
def frame() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)


@pytest.fixture
def mask() -> np.ndarray:
    """Two objects side by side, and void."""
    mask = np.zeros(SIZE, np.uint8)
    mask[32:60, 42:60], mask[32:60, 60:80], mask[80:] = 3, 254, 255
    return mask


@pytest.fixture
def objects(mask: np.ndarray) -> np.ndarray:
    return (mask == 3) | (mask == 254)


def test_a_cut_out_has_the_alpha_of_the_objects_and_colours_around_their_edges(
    frame: np.ndarray, mask: np.ndarray, objects: np.ndarray
) -> None:
    cut = cut_out(frame, mask)
    np.testing.assert_array_equal(cut[..., 3], np.where(objects, 255, 0))
    np.testing.assert_array_equal(cut[24:68, 34:88, :3], frame[24:68, 34:88])
    assert not cut[:24].any() and not cut[80:].any()


def test_a_matte_is_white_on_objects_alone(
    frame: np.ndarray, mask: np.ndarray, objects: np.ndarray
) -> None:
    expected = np.repeat(np.where(objects, 255, 0)[..., None], 3, axis=2)
    np.testing.assert_array_equal(matte(frame, mask), expected)


def test_a_green_screen_has_hard_edges(
    frame: np.ndarray, mask: np.ndarray, objects: np.ndarray
) -> None:
    shown = on_colour(frame, mask)
    np.testing.assert_array_equal(shown[objects], frame[objects])
    assert (shown[~objects] == (0, 255, 0)).all()


def test_a_spotlight_dims_the_rest(frame: np.ndarray, mask: np.ndarray) -> None:
    shown = spotlight(frame, mask, 0.5)
    np.testing.assert_array_equal(shown[INSIDE], frame[INSIDE])
    assert np.abs(shown[FAR] - frame[FAR] / 2).max() <= 1
    assert np.abs(shown[90:] - frame[90:] / 2).max() <= 1, "void is no object"


def test_a_picture_is_behind_the_objects(frame: np.ndarray, mask: np.ndarray) -> None:
    picture = np.full_like(frame, (10, 20, 30))
    shown = replace_background(frame, mask, picture)
    np.testing.assert_array_equal(shown[INSIDE], frame[INSIDE])
    assert (shown[FAR] == (10, 20, 30)).all()


def test_what_is_out_of_focus_takes_no_colour_of_the_objects(mask: np.ndarray) -> None:
    objects = (mask == 3) | (mask == 254)
    frame = np.where(objects[..., None], (250, 0, 0), (40, 90, 140)).astype(np.uint8)
    shown = blur_background(frame, mask, sigma=0.1)
    np.testing.assert_array_equal(shown[INSIDE], frame[INSIDE])
    beside = shown[28:64, 38:84][~objects[28:64, 38:84]].astype(int)
    away = np.abs(beside - (40, 90, 140)).max(axis=1)
    assert np.percentile(away, 75) <= 2, "but for the pixels of the edge itself"


def test_a_blur_is_that_of_the_background(frame: np.ndarray) -> None:
    shown = blur_background(frame, np.zeros(SIZE, np.uint8), sigma=0.05)
    assert shown[8:-8, 8:-8].std() < 0.3 * frame.std()
    assert np.abs(shown.mean(axis=(0, 1)) - frame.mean(axis=(0, 1))).max() < 3


@pytest.mark.parametrize("size", [(50, 100), (200, 100), (30, 44)])
def test_a_background_covers_the_frame_with_its_middle(size: tuple[int, int]) -> None:
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[45:55, 95:105] = 255
    covered = covering(picture, size)
    assert covered.shape == (*size, 3)
    rows, columns = np.nonzero(covered[..., 0] > 127)
    middle = (np.array(size) - 1) / 2
    assert np.abs((rows.mean(), columns.mean()) - middle).max() <= 1
    scale = max(size[0] / 100, size[1] / 200)
    assert len(rows) == pytest.approx((10 * scale) ** 2, rel=0.4)


@pytest.mark.parametrize("kind", COMPOSITES)
def test_every_kind_gives_frames_that_its_encoding_takes(
    kind: str, frame: np.ndarray, mask: np.ndarray
) -> None:
    more = {"picture": frame} if kind == "background" else {}
    drawn = COMPOSITES[kind].draw(frame, mask, **more)
    assert drawn.shape == (*SIZE, COMPOSITES[kind].encoding.channels)
    assert drawn.dtype == np.uint8
