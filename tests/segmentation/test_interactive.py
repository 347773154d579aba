"""Clicks and boxes find objects that stand out, correct masks, and are checked."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.sparse.csgraph import dijkstra

import vos
from vos.errors import UsageError
from vos.segmentation.cues import FAR, FrameCues, directions, short_paths
from vos.segmentation.interactive import Box, Click, InteractiveFrame
from vos.segmentation.windows import look, resampled, window_around

SIZE = (240, 400)


@pytest.fixture(scope="module")
def frame():
    """A red disc and a blue one on green noise; features are their colours; the masks of both."""
    generator = np.random.default_rng(0)
    image = generator.normal((60, 150, 60), 12, (*SIZE, 3))
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    red = (rows - 110) ** 2 + (columns - 130) ** 2 < 50**2
    blue = (rows - 110) ** 2 + (columns - 300) ** 2 < 40**2
    image[red] = generator.normal((200, 50, 40), 12, (red.sum(), 3))
    image[blue] = generator.normal((40, 50, 200), 12, (blue.sum(), 3))
    image = image.clip(0, 255).astype(np.uint8)
    cells = image.reshape(30, 8, 50, 8, 3).mean((1, 3)).transpose(2, 0, 1) / 255
    return InteractiveFrame(image, torch.from_numpy(cells.astype(np.float32))), red, blue


def iou(mask, truth):
    return (mask & truth).sum() / (mask | truth).sum()


def test_one_click_finds_a_disc(frame):
    interactive, red, blue = frame
    assert iou(interactive.mask([Click(130, 110)]), red) > 0.7
    assert iou(interactive.mask([Click(300, 110)]), blue) > 0.7


def test_a_box_finds_a_disc_and_nothing_outside(frame):
    interactive, red, _ = frame
    box = Box(78, 58, 182, 162)
    mask = interactive.mask((), box)
    assert iou(mask, red) > 0.9
    mask[box.top : box.bottom, box.left : box.right] = False
    assert not mask.any()


def test_clicks_say_what_is_there_and_change_what_is_connected_with_them(frame):
    interactive, red, blue = frame
    both = interactive.mask([Click(130, 110), Click(300, 110)])
    assert iou(both, red | blue) > 0.9
    one = interactive.mask([Click(130, 110), Click(300, 110), Click(300, 120, False)])
    assert not one[120, 300] and iou(one & red, red) > 0.9


def test_a_mask_is_corrected_where_it_is_wrong_only(frame):
    interactive, red, blue = frame
    start = red | blue
    start[200:210, 20:24] = True  # finer than tokens, far from the click
    mask = interactive.mask([Click(300, 110, False)], None, start)
    assert iou(mask & ~blue, start & ~blue) > 0.95 and iou(mask & blue, blue) < 0.2
    np.testing.assert_array_equal(mask[190:], start[190:])


def test_a_click_that_takes_away_where_nothing_is_leaves_nothing(frame):
    interactive, *_ = frame
    start = np.zeros(SIZE, bool)
    start[3, 3] = True
    assert not interactive.mask([Click(300, 110, False)], None, start)[110, 300]


class Network:
    """Says one thing of all that it is shown, another from some look on."""

    def __init__(self, first: float, then: float, looks: int):
        self.said = [first] * looks
        self.then = then

    def probability(self, of_tokens, of_cells):
        value = self.said.pop() if self.said else self.then
        return np.full(of_cells.shape[1:], value, np.float32)


def test_a_click_that_adds_takes_nothing_away_and_the_other_way_round(frame):
    image, clicks = frame[0].image, (Click(130, 110), Click(300, 110))
    for first, then in ((0.9, 0.1), (0.1, 0.9)):
        for adds in (True, False):
            source = CountedExtractor()
            network = Network(first, then, 3)  # at the whole frame, and twice in a window
            interactive = InteractiveFrame(image, source, network)
            before = interactive.mask(clicks[:1])
            after = interactive.mask([clicks[0], clicks[1]._replace(adds=adds)])
            changed = (before != after).mean() > 0.05
            assert changed == ((then > first) == adds), (first, adds)


def test_it_is_a_function_of_the_library(frame):
    interactive, red, _ = frame
    image = interactive.image
    by_model = vos.segment_frame(image, points=[(130, 110)], model="lab", device="cpu")
    assert iou(by_model, red) > 0.8
    features = np.zeros((3, 30, 50), np.float32) + image[::8, ::8].transpose(2, 0, 1) / 255
    box = (78, 58, 182, 162)
    points = [(130, 110), (200, 30, False)]
    mask = vos.segment_frame(image, box=box, points=points, features=features)
    assert mask.dtype == bool and mask.shape == SIZE and mask[110, 130] and not mask[30, 200]


def test_paths_are_hardly_longer_than_the_shortest(frame):
    generator = np.random.default_rng(1)
    cues = FrameCues(frame[0].image, directions(generator.random((8, 30, 50), np.float32)))
    height, width = cues.grid
    seeds = np.full(cues.grid, FAR, np.float32)
    seeds[14, 17] = 0
    tokens = np.arange(height * width).reshape(height, width)
    here = np.r_[tokens[:, 1:].ravel(), tokens[1:].ravel()]
    there = np.r_[tokens[:, :-1].ravel(), tokens[:-1].ravel()]
    steps = np.r_[cues.across.ravel(), cues.down.ravel()] + 1e-9
    graph = sparse.coo_array((steps, (here, there)), shape=(tokens.size, tokens.size)).tocsr()
    expected = dijkstra(graph, directed=False, indices=tokens[14, 17]).reshape(height, width)
    path = short_paths(seeds, cues.across, cues.down)
    assert (path >= expected - 1e-3).all()
    assert np.median(path / np.maximum(expected, 1e-6)) < 1.001 and path.max() < 100


@pytest.mark.parametrize("box", [Box(10, 20, 40, 90), Box(380, 5, 400, 9), Box(0, 0, 400, 240)])
def test_a_window_surrounds_its_box_and_stays_in_the_frame(box):
    window = window_around(box, SIZE)
    assert 0 <= window.left <= box.left and box.right <= window.right <= SIZE[1]
    assert 0 <= window.top <= box.top and box.bottom <= window.bottom <= SIZE[0]
    height, width = window.bottom - window.top, window.right - window.left
    assert min(height, width) >= 80
    assert 1 / 1.31 < height / width < 1.31 or SIZE in ((height, width), (height, SIZE[1]))


def test_features_of_a_window_are_those_of_its_place():
    rows, columns = torch.meshgrid(torch.arange(24.0), torch.arange(40.0), indexing="ij")
    features = torch.stack([rows, columns])  # of a frame of 240 x 400: 10 pixels to a token
    frame, window = Box(0, 0, 400, 240), Box(100, 40, 300, 140)
    found = resampled(features, frame, window, (10, 20))
    torch.testing.assert_close(found[0, :, 0], torch.arange(10.0) + 4)
    torch.testing.assert_close(found[1, 0], torch.arange(20.0) + 10)
    finer = resampled(features, frame, window, (20, 40))
    torch.testing.assert_close(finer[0, :, 7], torch.arange(20) / 2 + 3.75)


def test_a_look_at_features_at_hand_is_one_at_those_of_the_window():
    features = torch.rand(8, 80, 80, generator=torch.manual_seed(0))
    image = np.zeros((640, 640, 3), np.uint8)
    image[:320, 320:] = 200
    picture, vectors = look(image, Box(320, 0, 640, 320), features)
    assert picture.shape == (320, 320, 3) and (picture == 200).all()
    np.testing.assert_allclose(vectors, directions(features[:, :40, 40:].numpy()), atol=1e-5)


class CountedExtractor:
    """Colours as features, and how many pictures it was asked for."""

    def __init__(self):
        self.shapes = []

    def __call__(self, frames):
        (picture,) = frames
        self.shapes.append(picture.shape)
        cells = cv2.resize(picture, (picture.shape[1] // 8, picture.shape[0] // 8))
        return torch.from_numpy(cells).permute(2, 0, 1)[None].float() / 255


def test_a_frame_is_looked_at_as_a_whole_once_and_in_windows_of_one_size(frame):
    extractor = CountedExtractor()
    interactive = InteractiveFrame(frame[0].image, extractor)
    interactive.mask([Click(130, 110)])
    whole, *windows = extractor.shapes
    assert whole == (320, 536, 3) and set(windows) == {(320, 320, 3)}
    interactive.mask([Click(130, 110)])
    assert len(extractor.shapes) == 1 + len(windows), "the same click again"
    interactive.mask([Click(300, 110)])
    assert extractor.shapes.count(whole) == 1


def test_objects_smaller_than_tokens_of_the_frame_are_found_by_a_closer_look():
    image = np.full((480, 854, 3), (60, 150, 60), np.uint8)
    rows, columns = np.mgrid[:480, :854]
    small = (rows - 300) ** 2 + (columns - 500) ** 2 < 9**2
    image[small] = (200, 50, 40)
    mask = InteractiveFrame(image, CountedExtractor()).mask([Click(500, 300)])
    assert iou(mask, small) > 0.7


IMAGE = np.zeros((40, 60, 3), np.uint8)


@pytest.mark.parametrize(
    "image, arguments, words",
    [
        (IMAGE, {}, "first point that lies on the object"),
        (IMAGE, {"points": [(3, 4, False)]}, "first point that lies on the object"),
        (IMAGE, {"points": [(60, 4)]}, "60, 4 lies outside the image of 60 x 40"),
        (IMAGE, {"points": [(1,)]}, "no point"),
        (IMAGE, {"points": [("a", 4)]}, "no point"),
        (IMAGE, {"box": (1, 2, 3)}, "no box"),
        (IMAGE, {"box": (10, 10, 12, 30)}, "less than 4 x 4 pixels"),
        (IMAGE, {"box": (70, 10, 90, 30)}, "less than 4 x 4 pixels"),
        (IMAGE.astype(float), {"points": [(3, 4)]}, "no .* array of uint8"),
        (IMAGE, {"points": [(3, 4)], "features": np.zeros((3, 4))}, "features have the shape"),
        (IMAGE, {"points": [(3, 4)], "mask": np.zeros((3, 4), bool)}, "the mask to correct"),
    ],
)
def test_what_makes_no_sense_is_said(image, arguments, words):
    with pytest.raises(UsageError, match=words):
        vos.segment_frame(image, **arguments)


def test_an_image_of_one_colour_can_be_clicked_on():
    features = np.ones((4, 5, 8), np.float32)
    mask = vos.segment_frame(IMAGE, points=[(30, 20)], features=features)
    assert mask[20, 30]
