"""Pictures of features: the right numbers become colours, and the files can be opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vos
from vos.errors import UsageError
from vos.export import Features
from vos.export.pca import fit_colours
from vos.export.pictures import Pictures
from vos.export.sampling import sample_tokens, spread
from vos.export.segments import fit_segments
from vos.export.similarity import Point, fit_similarity, parse_point
from vos.media import open_video, read_image


def made_up(maps: np.ndarray, *, stride: int = 4) -> Features:
    """Features of a clip whose tokens are cells, with every third frame exported."""
    frames, _, rows, columns = maps.shape
    size = [rows * stride, columns * stride]
    known = {"size": size, "input_size": size, "stride": stride, "every": 3}
    known |= {"token_centre": (stride - 1) / 2, "precision": "float32"}
    indices = 3 * np.arange(frames)
    return Features(Path("made-up.zarr"), maps.astype(np.float32), known, indices, indices / 24)


def test_colours_are_principal_components() -> None:
    random = np.random.default_rng(0)
    mixing = random.normal(size=(8, 8)) * np.array([9, 5, 3, 1, 0.5, 0.2, 0.1, 0.1])[:, None]
    tokens = random.normal(size=(5 * 6 * 7, 8)) @ mixing + 4
    features = made_up(tokens.reshape(5, 6, 7, 8).transpose(0, 3, 1, 2))
    colours = fit_colours(features)
    centred = tokens - tokens.mean(0)
    expected = np.linalg.svd(centred, full_matrices=False)[2][:3]
    np.testing.assert_allclose(np.abs(np.sum(colours.axes * expected, 1)), 1, atol=1e-4)
    strongest = np.abs(colours.axes).argmax(1)
    assert (colours.axes[np.arange(3), strongest] > 0).all()
    shown = colours.project(tokens)
    np.testing.assert_allclose(np.percentile(shown, 1, axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(np.percentile(shown, 99, axis=0), 1, atol=1e-3)
    picture = colours.paint(features, 2)
    assert picture.shape == (24, 28, 3)
    assert picture.dtype == np.uint8


def test_colours_of_flat_and_thin_features() -> None:
    for channels in (1, 2, 5):
        flat = made_up(np.full((2, channels, 3, 4), 7.0))
        assert fit_colours(flat).paint(flat, 0).shape == (12, 16, 3)


def test_segments_find_what_is_there() -> None:
    """Three directions in feature space, of lengths that must not matter, in three places."""
    random = np.random.default_rng(1)
    truth = np.zeros((8, 12), int)
    truth[:, 5:] = 1
    truth[6:, :] = 2
    directions = np.eye(6)[:3] + 0.05
    lengths = random.uniform(0.5, 20, (4, 8, 12, 1))
    noise = random.normal(scale=0.02, size=(4, 8, 12, 6))
    maps = ((directions[truth] + noise) * lengths).transpose(0, 3, 1, 2)
    features = made_up(maps)
    segments = fit_segments(features, 3)
    for t in range(4):
        mask = segments.mask(features, t)
        assert mask.shape == (32, 48)
        centres = mask[2::4, 2::4]
        # By falling size: 1 the right part, 2 the left one, 3 the lower.
        assert np.bincount(truth.ravel()).argsort()[::-1].tolist() == [1, 0, 2]
        np.testing.assert_array_equal(centres, np.array([2, 1, 3])[truth])
    with pytest.raises(UsageError, match="`clusters` takes 2 to 254"):
        fit_segments(features, 1)


def test_similarity_is_the_cosine_to_the_point() -> None:
    maps = np.random.default_rng(2).normal(size=(3, 16, 5, 6))
    features = made_up(maps)
    # The centre of token (2, 3): pixel 3 * 4 + 1.5 across and 2 * 4 + 1.5 down, of frame 3.
    similarity = fit_similarity(features, Point(3, 13.5, 9.5))
    wanted = maps[1, :, 2, 3]
    assert features.geometry.to_pixels(np.array([[3, 2]])).tolist() == [[13.5, 9.5]]
    shown = similarity.map(features, 2)
    assert shown.shape == (20, 24)
    for row, column in ((0, 0), (4, 5), (1, 3)):
        token = maps[2, :, row, column]
        cosine = token @ wanted / np.linalg.norm(token) / np.linalg.norm(wanted)
        middle = shown[4 * row + 1 : 4 * row + 3, 4 * column + 1 : 4 * column + 3].mean()
        assert abs(middle - cosine) < 0.15  # its neighbours are an eighth of the way in
    assert similarity.map(features, 1).max() <= 1 + 1e-5
    painted = similarity.paint(features, 1, np.full((20, 24, 3), 90, np.uint8))
    assert painted.shape == (20, 24, 3)
    with pytest.raises(UsageError, match="frame 4 is not among the exported frames"):
        fit_similarity(features, Point(4, 0, 0))
    with pytest.raises(UsageError, match="outside the frame"):
        fit_similarity(features, Point(3, 24, 0))


def test_sample_of_tokens_is_bounded_and_repeatable() -> None:
    maps = np.arange(100 * 30 * 40, dtype=np.float32).reshape(100, 1, 30, 40)
    features = made_up(maps)
    tokens = sample_tokens(features)
    assert 16000 < len(tokens) <= 17000
    assert len(np.unique(tokens)) == len(tokens)
    np.testing.assert_array_equal(tokens, sample_tokens(features))
    assert spread(5, 12) == [0, 1, 2, 3, 4]
    assert spread(1, 12) == [0]


def test_files_open_as_what_they_are(store: Path, clip: Path, tmp_path: Path) -> None:
    features, video = vos.open_features(store), open_video(clip)
    names = ("pca.png", "segments.mp4", "similar.jpg")
    pca, segments, similar = (tmp_path / name for name in names)
    pictures = Pictures(pca, segments, 3, similar, parse_point("2: 40.5,30"))
    pictures.check()
    assert pictures.draw(features, video) == [pca, segments, similar]
    # Nine cells of a frame above its colours, in rows of four with four pixels between.
    assert read_image(pca).shape == (3 * 2 * 61 + 2 * 4, 4 * 83 + 3 * 4, 3)
    np.testing.assert_array_equal(read_image(pca)[:61, :83], video[0])
    drawn = open_video(segments)
    assert drawn.count_frames() == 9
    assert drawn.fps == 24
    first = pca.read_bytes()
    pictures.draw(features, video)
    assert pca.read_bytes() == first


def test_video_of_every_third_frame_keeps_the_pace(export: Any, clip: Path, tmp_path: Path) -> None:
    export(tmp_path / "thin.zarr", clip, every=3, model="lab")
    Pictures(pca=tmp_path / "pca.mp4").draw(
        vos.open_features(tmp_path / "thin.zarr"), open_video(clip)
    )
    drawn = open_video(tmp_path / "pca.mp4")
    assert (drawn.count_frames(), drawn.fps) == (3, 8)


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        (Pictures(pca=Path("pca.gif")), "a picture is a .png or a .mp4 file"),
        (Pictures(segments=Path("s.png"), clusters=1), "`clusters` takes 2 to 254"),
        (Pictures(similar=Path("s.png")), "go together"),
        (Pictures(point=Point(0, 1, 2)), "go together"),
    ],
)
def test_what_cannot_be_drawn_is_said_before_the_work(pictures: Pictures, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        pictures.check()


@pytest.mark.parametrize("text", ["", "3", "1:2", "a:1,2", "1.2.3,4", "0:1,2,3"])
def test_a_point_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="a point is FRAME:X,Y"):
        parse_point(text)
