"""J and F of a frame: hand-computed cases, the plain formulas, and the official functions."""

from __future__ import annotations

import numpy as np
import pytest

from vos.metrics import boundary_accuracy, boundary_radius, region_similarity, score_frame
from vos.metrics.reference import boundary, dilate

official = pytest.importorskip("segmetric.metrics", reason="esdft-segmetric is not installed")


def blocks(generator: np.random.Generator, height: int, width: int, ids: int = 4) -> np.ndarray:
    """A random id mask made of square blocks, so that objects have insides and boundaries."""
    side = int(generator.integers(1, 9))
    coarse = generator.integers(0, ids, (height // side + 1, width // side + 1))
    return np.kron(coarse, np.ones((side, side)))[:height, :width].astype(np.uint8)


def blobs(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Ellipses that touch, overlap one another and leave the image."""
    mask = np.zeros((height, width), np.uint8)
    rows, columns = np.mgrid[:height, :width]
    for object_id in range(1, 6):
        y, x = generator.uniform(0, height), generator.uniform(0, width)
        a, b = generator.uniform(3, height / 3, 2)
        mask[((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 < 1] = object_id
    return mask


def test_two_overlapping_squares_by_hand() -> None:
    truth, prediction = np.zeros((2, 20, 20), np.uint8)
    truth[4:8, 4:8] = 1
    prediction[4:8, 6:10] = 1
    region, _ = score_frame(truth, prediction, [1])
    assert region[0] == 8 / 24


def test_boundary_that_lies_within_the_radius_matches_and_one_beyond_does_not() -> None:
    truth, near, far = np.zeros((3, 480, 854), np.uint8)
    radius = boundary_radius(480, 854)
    assert radius == 8
    truth[:, :300] = near[:, : 300 + radius] = far[:, : 301 + radius] = 1
    assert score_frame(truth, near, [1])[1][0] == 1.0
    assert score_frame(truth, far, [1])[1][0] == 0.0


@pytest.mark.parametrize(
    ("height", "width", "radius"), [(480, 854, 8), (240, 432, 4), (1080, 1920, 18), (10, 10, 1)]
)
def test_radius_is_0_008_of_the_diagonal_rounded_up(height: int, width: int, radius: int) -> None:
    assert boundary_radius(height, width) == radius


def test_object_in_neither_mask_scores_one_and_in_one_of_them_zero() -> None:
    truth, prediction = np.zeros((2, 30, 40), np.uint8)
    truth[5:15, 5:15] = 1
    prediction[5:15, 5:15] = 2
    region, boundaries = score_frame(truth, prediction, [1, 2, 3])
    assert region.tolist() == [0, 0, 1]
    assert boundaries.tolist() == [0, 0, 1]


def test_object_that_fills_the_image_has_no_boundary() -> None:
    full = np.ones((20, 30), np.uint8)
    holed = full.copy()
    holed[8:12, 8:12] = 0
    assert score_frame(full, full, [1])[1][0] == 1
    assert score_frame(full, holed, [1])[1][0] == 0
    assert official.f_measure(holed, full) == 0


def test_void_pixels_count_for_nothing() -> None:
    truth = np.zeros((40, 40), np.uint8)
    truth[10:20, 10:20] = 1
    void = truth.copy()
    void[20:40] = 255
    prediction = truth.copy()
    prediction[20:40, 10:20] = 1
    region, boundaries = score_frame(void, prediction, [1])
    assert (region[0], boundaries[0]) == (1, 1)
    assert score_frame(truth, prediction, [1])[0][0] == 100 / 300


@pytest.mark.parametrize("seed", range(12))
def test_equals_the_official_functions_and_the_plain_ones_on_random_masks(seed: int) -> None:
    generator = np.random.default_rng(seed)
    for _ in range(25):
        height, width = generator.integers(1, 48, 2)
        truth, prediction = (blocks(generator, height, width) for _ in range(2))
        void = blocks(generator, height, width, 2) if generator.random() < 0.4 else None
        truth = truth if void is None else np.where(void, 255, truth).astype(np.uint8)
        tolerance = float(generator.choice([0.008, 0.03, 0.1]))
        ids = [1, 2, 3, 9]
        for object_id, region, boundaries in zip(
            ids, *score_frame(truth, prediction, ids, tolerance), strict=True
        ):
            a, b = truth == object_id, prediction == object_id
            assert region == region_similarity(a, b, void) == official_region(a, b, void)
            expected = official.f_measure(b, a, void, tolerance)
            assert boundaries == pytest.approx(expected, abs=1e-14)
            assert boundary_accuracy(a, b, void, tolerance) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_official_functions_on_large_smooth_masks(seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth = blobs(generator, 480, 854)
    prediction = np.roll(truth, (3, -6), (0, 1))
    ids = range(1, 6)
    for object_id, region, boundaries in zip(
        ids, *score_frame(truth, prediction, ids), strict=True
    ):
        a, b = truth == object_id, prediction == object_id
        assert region == official_region(a, b, None)
        assert boundaries == pytest.approx(official.f_measure(b, a), abs=1e-14)


def test_boundary_is_the_official_one() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        mask = blocks(generator, *generator.integers(1, 30, 2), ids=2)
        np.testing.assert_array_equal(boundary(mask), official._seg2bmap(mask))


def test_dilation_is_by_euclidean_distance() -> None:
    point = np.zeros((21, 21), bool)
    point[10, 10] = True
    rows, columns = np.mgrid[-10:11, -10:11]
    for radius in (0, 1, 2, 5, 8):
        np.testing.assert_array_equal(
            dilate(point, radius), np.hypot(rows, columns) <= radius, strict=True
        )


def test_masks_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="truth is"):
        score_frame(np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8), [1])


def official_region(truth: np.ndarray, prediction: np.ndarray, void: np.ndarray | None) -> float:
    with np.errstate(invalid="ignore"):
        return official.db_eval_iou(truth, prediction, void)
