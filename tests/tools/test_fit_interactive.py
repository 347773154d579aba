"""What the network of clicks is shown while it learns."""

from __future__ import annotations

import numpy as np
import pytest
from fit_interactive import Try, box_around, damaged, loss_of, near, prepared
from object_views import (
    SIDE,
    Photo,
    View,
    close_part,
    composite,
    draw_views,
    is_like_an_object,
    part_of,
    read_masks,
    read_photos,
    save_view,
    separate_figures,
    unions_of_neighbours,
    whole_figures,
)
from PIL import Image
from scipy.io import savemat

import vos
from vos.backbones.inference import FeatureExtractor
from vos.segmentation.cues import FrameCues, directions


@pytest.fixture
def generator():
    return np.random.default_rng(0)


@pytest.fixture
def truth():
    mask = np.zeros((40, 60), bool)
    mask[10:31, 20:41] = True
    return mask


@pytest.fixture
def photo(generator):
    image = generator.integers(0, 255, (240, 320, 3), dtype=np.uint8)
    mask = np.zeros((240, 320), bool)
    mask[60:160, 100:220] = True
    return Photo(image, [mask])


def test_clicks_follow_the_largest_error(truth, generator):
    a_try = Try(cues=None, shares=truth.astype(np.float32))
    a_try.click(generator)
    (place,) = a_try.on
    assert truth[place] and not a_try.off
    a_try.before = truth.astype(np.float32)
    a_try.before[:, 45:] = 1
    for _ in range(10):
        a_try.click(generator)
    assert len(a_try.off) == 10 and all(column >= 45 for _, column in a_try.off)
    a_try.before = truth.astype(np.float32)
    a_try.click(generator)
    assert len(a_try.off) == 10 and len(a_try.on) == 1, "there is nothing to correct"


def test_a_click_near_the_innermost_stays_in_the_same_error(generator):
    wrong = np.zeros((40, 60), bool)
    wrong[5:15, 5:15] = wrong[25:35, 40:50] = True
    places = {near((10, 10), wrong, generator) for _ in range(30)}
    assert len(places) > 5 and all(5 <= r < 15 and 5 <= c < 15 for r, c in places)


def test_boxes_lie_within_a_fifth_of_the_object_s_sides(truth, generator):
    rows, columns = np.nonzero(truth)
    tight = np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1])
    sides = np.array([np.ptp(rows) + 1, np.ptp(columns) + 1] * 2)
    moved = np.array([box_around(truth, generator) for _ in range(50)]) - tight
    assert (abs(moved) <= 0.2 * sides + 0.5).all()
    assert moved[:, 0].min() < 0 < moved[:, 0].max(), "some surround it, some cut it"
    full = box_around(np.ones((40, 60), bool), generator)
    assert (full.top, full.left) >= (0, 0) and full.bottom <= 40 and full.right <= 60


def test_damaged_masks_are_no_longer_right(truth, generator):
    wrong = [(damaged(truth, generator) != truth).mean() for _ in range(20)]
    assert 0.01 < np.mean(wrong) < 0.5


def test_the_loss_is_least_for_the_truth(truth):
    import torch

    shares = torch.from_numpy(truth[None].astype(np.float32))
    right, wrong = loss_of(20 * shares - 10, shares), loss_of(10 - 20 * shares, shares)
    assert right < 0.01 < 1 < wrong


def test_regions_like_objects():
    mask = np.zeros((100, 150), bool)
    mask[30:60, 40:80] = True
    assert is_like_an_object(mask)
    two = mask.copy()
    two[70:95, 100:140] = True
    assert not is_like_an_object(two), "not of one piece"
    mask[:, :40] = True
    assert not is_like_an_object(mask), "the border cuts it off"


def test_figures_of_several_regions(generator):
    regions = np.ones((100, 150), int)
    regions[20:50, 40:80], regions[50:80, 40:80] = 2, 3
    expected = (regions > 1).sum()
    assert [figure.sum() for figure in whole_figures(regions)] == [expected]
    assert [union.sum() for union in unions_of_neighbours(regions, generator)] == [expected]


def test_what_stands_out_is_one_object_or_several():
    mask = np.zeros((100, 150), bool)
    mask[20:60, 10:50] = mask[70:74, 70:74] = True
    (figure,) = separate_figures(mask)
    np.testing.assert_array_equal(figure, mask, "a crumb belongs to it")
    mask[20:60, 80:120] = True
    first, second = separate_figures(mask)
    assert first.sum() == second.sum() == 1600 and not (first & second).any()


def test_ids_are_objects_and_255_is_neither(generator, tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    labels = np.zeros((100, 150), np.uint8)
    labels[20:60, 10:50], labels[20:60, 80:100], labels[61:64, 10:50] = 3, 1, 255
    Image.fromarray(np.zeros((100, 150, 3), np.uint8)).save(tmp_path / "images" / "a.jpg")
    Image.fromarray(labels).save(tmp_path / "masks" / "a.png")
    (photo,) = read_masks(tmp_path, generator)
    large, small = photo.masks
    np.testing.assert_array_equal(large, labels == 3)
    np.testing.assert_array_equal(small, labels == 1)


def test_a_close_part_is_the_window_around_an_object_more_or_less(photo, generator):
    mask = photo.masks[0]
    parts = [close_part(mask, generator) for _ in range(30)]
    assert all(mask[part].sum() > 0.6 * mask.sum() for part in parts)
    shares = [mask[part].mean() for part in parts]
    assert 0.15 < min(shares) < max(shares) < 0.7 and len(set(shares)) > 10


def test_a_mirrored_view_is_mirrored_in_all(generator, tmp_path):
    masks = generator.integers(0, 255, (2, 16, 16), dtype=np.uint8)
    image = generator.integers(0, 255, (16, 16, 3), dtype=np.uint8)
    vectors = directions(generator.random((6, 8, 8), np.float32)).astype(np.float16)
    save_view(View(image, vectors, masks), tmp_path / "view.npz")
    (cues, plain), (mirrored, turned) = (prepared(tmp_path / "view.npz", m) for m in (False, True))
    np.testing.assert_array_equal(turned, plain[..., ::-1])
    np.testing.assert_allclose(mirrored.across, cues.across[:, ::-1], atol=1e-6)
    there, here = mirrored.nearness([(2, 5)]), cues.nearness([(2, 2)])
    np.testing.assert_allclose(there, here[..., ::-1], atol=1e-5)


def test_a_part_shows_its_object(photo, generator):
    for _ in range(10):
        image, masks = part_of(photo, generator)
        assert image.shape == (SIDE, SIDE, 3) and masks[0].shape == (SIDE, SIDE)
        assert 0.01 < (masks[0] > 127).mean() < 0.7


def test_composites_cover_what_lies_behind(photo, generator, tmp_path):
    Image.fromarray(photo.image).save(tmp_path / "photo.png")
    for _ in range(10):
        image, masks = composite({"horses": [photo]}, [tmp_path / "photo.png"], generator)
        assert image.shape == (SIDE, SIDE, 3) and image.dtype == np.uint8
        assert np.sum(masks, axis=0, dtype=int).max() <= 255


def test_views_of_a_data_set(photo, generator, tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / "horses" / folder).mkdir(parents=True)
    Image.fromarray(photo.image).save(tmp_path / "horses" / "images" / "1.jpg")
    Image.fromarray(photo.masks[0]).convert("L").save(tmp_path / "horses" / "masks" / "1.png")
    (tmp_path / "bsds" / "images" / "train").mkdir(parents=True)
    (tmp_path / "bsds" / "groundTruth" / "train").mkdir(parents=True)
    Image.fromarray(photo.image).save(tmp_path / "bsds" / "images" / "train" / "2.jpg")
    segmentation = {"Segmentation": photo.masks[0].astype(np.uint16) + 1}
    truth = np.empty((1, 1), object)
    truth[0, 0] = segmentation
    savemat(tmp_path / "bsds" / "groundTruth" / "train" / "2.mat", {"groundTruth": truth})
    photos = read_photos(tmp_path, generator)
    assert {name: len(found) for name, found in photos.items()} == {"bsds": 1, "horses": 1}
    extractor = FeatureExtractor(vos.load("lab"))
    behind = [tmp_path / "horses" / "images" / "1.jpg"]
    views = list(draw_views(photos, behind, [extractor], generator))
    assert len(views) >= 3
    for view in views:
        cues = FrameCues(view.image, view.vectors.astype(np.float32))
        assert view.masks.shape[1:] == cues.cells == (2 * SIDE // 8, 2 * SIDE // 8)
