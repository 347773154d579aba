"""Several pictures in one image file: a video with their times, but no frame and no mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vos.datasets.clips import decode, find_clips
from vos.errors import VosError
from vos.media import open_video, read_image, read_mask

DURATIONS = [100, 100, 400, 50]


def pictures() -> list[Image.Image]:
    y, x = np.mgrid[:24, :32]
    return [
        Image.fromarray(np.stack([6 * x, 9 * y, np.full_like(x, 60 * i)], axis=2).astype(np.uint8))
        for i in range(4)
    ]


def save(path: Path, **options: object) -> Path:
    first, *others = pictures()
    first.save(path, save_all=True, append_images=others, **options)
    return path


@pytest.mark.parametrize("name", ["a.webp", "a.png"])
def test_animations_are_videos_with_their_times(tmp_path: Path, name: str) -> None:
    video = open_video(save(tmp_path / name, duration=DURATIONS, lossless=True))
    for frame, picture in zip(video, pictures(), strict=True):
        np.testing.assert_array_equal(frame, np.array(picture))
    np.testing.assert_array_equal(video[2], np.array(pictures()[2]))
    assert (video.frame_count, video.count_frames(), video.size) == (4, 4, (24, 32))
    np.testing.assert_allclose(video.frame_times(), [0, 0.1, 0.2, 0.6])
    assert video.fps == pytest.approx(4 / 0.65, rel=1e-3)
    assert video.frame_name(3) == "00003"


def test_pages_of_a_tiff_are_frames_and_previews_are_not(tmp_path: Path) -> None:
    video = open_video(save(tmp_path / "stack.tif"), fps=10)
    assert [int(frame[0, 0, 2]) for frame in video.read(1, 3)] == [60, 120]
    assert (video.count_frames(), video.fps) == (4, 10)
    photo, preview = pictures()[0], pictures()[1].resize((8, 6))
    photo.save(tmp_path / "photo.tif", save_all=True, append_images=[preview])
    assert open_video(tmp_path / "photo.tif").count_frames() == 1
    np.testing.assert_array_equal(read_image(tmp_path / "photo.tif"), np.array(photo))


def test_deep_pages_share_a_scale(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.full((6, 8), level, np.uint16)) for level in (160, 1600, 3200)]
    pages[0].save(tmp_path / "deep.tif", save_all=True, append_images=pages[1:])
    assert [int(frame.max()) for frame in open_video(tmp_path / "deep.tif")] == [10, 100, 200]


def test_a_cover_that_is_no_part_of_the_animation_is_left_out(tmp_path: Path) -> None:
    first, *others = pictures()
    path = tmp_path / "cover.png"
    first.save(path, save_all=True, append_images=others, default_image=True, duration=100)
    assert [int(frame[0, 0, 2]) for frame in open_video(path)] == [60, 120, 180]


def test_a_frame_or_a_mask_is_one_picture(tmp_path: Path) -> None:
    save(tmp_path / "a.webp", lossless=True)
    for read in (read_image, read_mask, lambda path: open_video(path.parent)):
        with pytest.raises(VosError, match=r"a\.webp holds 4 pictures: give it by itself"):
            read(tmp_path / "a.webp")


def test_training_takes_all_pictures(tmp_path: Path) -> None:
    save(tmp_path / "a.webp", lossless=True)
    (source,) = find_clips([tmp_path])
    assert decode(source, 24).shape == (4, 24, 32, 3)
