"""Frames from memory, cameras and addresses as videos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vos.errors import MissingError, UsageError, VosError
from vos.media import VideoWriter, open_video


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 6, 8, 3), np.uint8)


def test_arrays_and_tensors_in_their_usual_forms(frames) -> None:
    scaled = frames.astype(np.float32) / 255
    for given in (
        frames,
        scaled,
        frames.transpose(0, 3, 1, 2),
        torch.from_numpy(frames).permute(0, 3, 1, 2),
        torch.from_numpy(scaled),
        list(frames),
        tuple(torch.from_numpy(frame) for frame in frames),
        [Image.fromarray(frame) for frame in frames],
        torch.utils.data.Subset(list(frames), range(5)),  # has a length and gives by number
        [frame[None] for frame in frames],
    ):
        video = open_video(given)
        assert (video.size, video.count_frames(), video.rereadable) == ((6, 8), 5, True)
        np.testing.assert_array_equal(np.stack(list(video)), frames)
        np.testing.assert_array_equal(video[-2], frames[3])
        np.testing.assert_array_equal(np.stack(list(video.read(1, 3))), frames[1:3])


def test_paths_of_images_are_read_when_they_are_needed(frames, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.png" for name in "bac"]
    for path, frame in zip(paths, frames, strict=False):
        Image.fromarray(frame).save(path)
    video = open_video([str(path) for path in paths], fps=5)
    assert video.fps == 5
    np.testing.assert_array_equal(video[2], frames[2])
    paths[1].unlink()
    with pytest.raises(VosError, match=r"a\.png"):
        list(video)


def test_grey_frames_are_repeated_over_the_channels(frames) -> None:
    np.testing.assert_array_equal(
        open_video([frames[0, ..., 0]])[0], np.repeat(frames[0, ..., :1], 3, 2)
    )


def test_an_opened_video_stays_itself(frames) -> None:
    video = open_video(frames)
    assert open_video(video) is video


def test_a_generator_is_read_once_forwards(frames) -> None:
    video = open_video(frame for frame in frames)
    assert (video.size, video.frame_count, video.rereadable) == ((6, 8), None, False)
    np.testing.assert_array_equal(np.stack(list(video.read(1, 4))), frames[1:4])
    with pytest.raises(UsageError, match="can be read once only"):
        list(video)
    with pytest.raises(UsageError, match="cannot be counted"):
        video.count_frames()


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ([], "has no frames"),
        (iter(()), "has no frames"),
        (np.zeros((0, 6, 8, 3), np.uint8), "has no frames"),
        (
            np.zeros((6, 8, 3), np.uint8),
            r"\(6, 8, 3\): frames are \(T, H, W, 3\); one frame is frame\[None\], and grey",
        ),
        ([np.zeros((6, 8, 4), np.uint8)], "drop the alpha channel"),
        ([np.zeros((6, 8, 3), np.int64) - 1], "values from -1 to -1 of type int64"),
        ([np.full((6, 8, 3), 1.5)], "values from 1.5 to 1.5"),
        ([np.full((6, 8, 3), np.nan)], "values from nan"),
        ([None], "of type NoneType"),
        ({0: np.zeros((6, 8, 3), np.uint8)}, "of type int"),
        (None, "cannot be made of NoneType"),
        (True, "cannot be made of bool"),
        (b"clip.mp4", "cannot be made of bytes"),
        (3.5, "cannot be made of float"),
    ],
)
def test_what_is_no_video_is_refused(given, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        open_video(given)


def test_frames_of_several_sizes_are_refused_by_number(frames) -> None:
    with pytest.raises(VosError, match="frame 1 is 8 x 3 pixels, the first one 8 x 6"):
        list(open_video([frames[0], frames[1][:3]]))


def test_an_address_is_a_stream(frames, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    large = np.repeat(np.repeat(frames, 8, 1), 8, 2)
    with VideoWriter(path, fps=25, size=large.shape[1:3]) as writer:
        for frame in large:
            writer.write(frame)
    video = open_video(f"file://{path}")
    assert not video.rereadable and video.fps == 25
    np.testing.assert_array_equal(np.stack(list(video)), np.stack(list(open_video(path))))
    with pytest.raises(MissingError, match="cannot open file:///no/such"):
        open_video("file:///no/such.mp4")


def test_a_stream_is_turned_upright_as_a_file_is(make_video: Callable[..., Path]) -> None:
    path = make_video("phone.mp4", rotation=90, count=3)
    video = open_video(f"file://{path}")
    assert video.size == open_video(path).size == (96, 64)
    np.testing.assert_array_equal(np.stack(list(video)), np.stack(list(open_video(path))))


@pytest.mark.parametrize("index", [97, np.int64(97)])
def test_a_camera_that_is_not_there_is_named(index) -> None:
    with pytest.raises(MissingError, match="cannot open camera 97"):
        open_video(index)
    with pytest.raises(UsageError, match="there is no camera -97"):
        open_video(-index)
