"""Sizes, turns, names and folders of videos, and what is said about bad ones."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from vos.errors import MissingError, UsageError, VosError
from vos.media import open_video, write_image
from vos.media.excerpt import Excerpt

Make = Callable[..., Path]


@pytest.mark.parametrize("angle", [0, 90, 180, -90])
def test_phone_videos_stand_upright(make_video: Make, angle: int) -> None:
    path = make_video("phone.mp4", count=5, rotation=angle)
    video = open_video(path)
    with av.open(str(path)) as container:
        stored = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert video.size == ((96, 64) if angle % 180 else (64, 96))
    for frame, plain in zip(video, stored, strict=True):
        assert frame.flags.c_contiguous
        np.testing.assert_array_equal(frame, np.rot90(plain, angle // 90))
    np.testing.assert_array_equal(video[3], np.rot90(stored[3], angle // 90))


def test_mirrored_videos_are_mirrored_back(tmp_path: Path) -> None:
    path = tmp_path / "mirror.mp4"
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=10, options={"crf": "1"})
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        stream.set_display_matrix([-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30])
        output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    with av.open(str(path)) as container:
        stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
    np.testing.assert_array_equal(open_video(path)[0], stored[:, ::-1])


@pytest.mark.parametrize("size", [(63, 97), (64, 97), (63, 96), (16, 16)])
def test_odd_sizes(make_video: Make, frame_number: Callable, size: tuple[int, int]) -> None:
    video = open_video(make_video("odd.mkv", count=3, size=size, codec="ffv1", pixels="bgr0"))
    assert video.size == size
    assert [frame.shape for frame in video] == [(*size, 3)] * 3
    assert frame_number(video[2]) == 2


def test_names_with_spaces_colons_and_other_scripts(make_video: Make, tmp_path: Path) -> None:
    folder = tmp_path / "mein Vidéo 日本 100%d"
    folder.mkdir()
    for name in ("ein Hünd.mp4", "a:b.mp4", "кот 🐈.mp4"):
        path = make_video("plain.mp4", count=2).rename(folder / name)
        video = open_video(path)
        assert len(list(video)) == 2
        assert video.name == path.stem


def frames_in(folder: Path, names: list[str], size: tuple[int, int] = (8, 10)) -> Path:
    for number, name in enumerate(names):
        write_image(folder / name, np.full((*size, 3), 10 * number, np.uint8))
    return folder


def test_folder_of_frames_in_natural_order(tmp_path: Path) -> None:
    folder = frames_in(tmp_path / "some frames é", ["f1.png", "f2.png", "f10.bmp", "f011.PNG"])
    for other in (".hidden.png", "notes.txt", "Thumbs.db"):
        (folder / other).write_bytes(b"no image")
    video = open_video(folder)
    assert [int(frame[0, 0, 0]) for frame in video] == [0, 10, 20, 30]
    assert (video.name, video.size, video.frame_count) == ("some frames é", (8, 10), 4)
    assert video.fps == 24
    assert open_video(folder, fps=12.5).fps == 12.5
    assert [int(frame[0, 0, 0]) for frame in video.read(1, 3)] == [10, 20]
    assert video[-1][0, 0, 0] == 30
    with pytest.raises(IndexError):
        video[4]


def test_one_image_is_a_video_of_one_frame(tmp_path: Path) -> None:
    frames_in(tmp_path, ["only.png"])
    assert open_video(tmp_path / "only.png").count_frames() == 1


def test_folder_mixing_sizes_names_the_odd_one(tmp_path: Path) -> None:
    frames_in(tmp_path, ["0.png", "1.png", "2.png"])
    frames_in(tmp_path, ["3.png"], size=(8, 11))
    with pytest.raises(VosError, match=r"3\.png is 11 x 8 pixels, but 0\.png is 10 x 8"):
        open_video(tmp_path)


def test_folder_with_one_frame_in_two_formats(tmp_path: Path) -> None:
    frames_in(tmp_path, ["0.png", "1.png", "1.jpg"])
    with pytest.raises(VosError, match=r"holds both 1\.jpg and 1\.png"):
        open_video(tmp_path)


def test_folder_with_a_truncated_frame_gives_those_before_it(tmp_path: Path) -> None:
    frames_in(tmp_path, ["0.jpg", "1.jpg"], size=(64, 64))
    damaged = tmp_path / "2.jpg"
    write_image(damaged, np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    damaged.write_bytes(damaged.read_bytes()[:-500])
    frames = iter(open_video(tmp_path))
    assert len([next(frames), next(frames)]) == 2
    with pytest.raises(VosError, match=r"2\.jpg is truncated"):
        next(frames)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="there is no video"):
        open_video(tmp_path / "absent.mp4")
    with pytest.raises(MissingError, match="holds no images"):
        open_video(tmp_path)
    with pytest.raises(UsageError, match="rate is positive"):
        open_video(tmp_path, fps=0)


def one_line(error: pytest.ExceptionInfo[VosError], path: Path) -> bool:
    return str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["a.mp4", "a.txt", "a.mkv", "a.gif"])
def test_text_is_no_video(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("no video at all\n" * 500)
    with pytest.raises(VosError, match=r"not a video") as error:
        open_video(path)
    assert one_line(error, path)


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    with pytest.raises(VosError, match="is empty") as error:
        open_video(path)
    assert one_line(error, path)


def test_sound_alone(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        samples.sample_rate = 8000
        output.mux(stream.encode(samples))
    with pytest.raises(VosError, match="no video stream"):
        open_video(path)


def test_video_without_frames(tmp_path: Path) -> None:
    path = tmp_path / "none.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        output.start_encoding()
    with pytest.raises(VosError, match=r"no frames|no video|not a video") as error:
        open_video(path)
    assert one_line(error, path)


def test_mp4_whose_index_is_cut_off(make_video: Make) -> None:
    path = make_video("cut.mp4")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(VosError, match="its end is missing") as error:
        open_video(path)
    assert one_line(error, path)


@pytest.mark.parametrize("container", ["+faststart", "frag_keyframe+empty_moov"])
def test_truncated_mp4_gives_its_frames_and_then_fails(
    make_video: Make, frame_number: Callable, container: str
) -> None:
    path = make_video("cut.mp4", container={"movflags": container}, options={"bf": "3", "g": "12"})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    video = open_video(path)
    numbers = []
    with pytest.raises(VosError, match="is truncated") as error:
        numbers.extend(frame_number(frame) for frame in video)  # what came is kept by extend
    assert one_line(error, path)
    assert 10 < len(numbers) < 30
    assert numbers == list(range(len(numbers)))
    assert int(re.findall(r"(\d+) frames could be read", str(error.value))[0]) == len(numbers)
    assert frame_number(video[10]) == 10


def test_damage_midway_is_told_after_the_frames_before_it(
    make_video: Make, frame_number: Callable
) -> None:
    path = make_video("damaged.mp4", container={"movflags": "+faststart"}, options={"g": "12"})
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = b"\xff" * 3000
    path.write_bytes(content)
    numbers = []
    with pytest.raises(VosError, match="is damaged") as error:
        for frame in open_video(path):
            numbers.append(frame_number(frame))
    assert one_line(error, path)
    assert numbers[:5] == [0, 1, 2, 3, 4]


def test_size_that_changes_midway(make_video: Make, tmp_path: Path) -> None:
    small = make_video("small.h264", count=5)
    large = make_video("large.h264", count=5, size=(128, 96))
    joined = tmp_path / "joined.h264"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    frames = []
    with pytest.raises(VosError, match="changes its frame size"):
        for frame in open_video(joined):
            frames.append(frame)
    assert len(frames) == 5


def test_frames_have_the_names_of_their_files(tmp_path: Path, make_video: Make) -> None:
    frames_in(tmp_path / "shot", ["shot_0101.png", "shot_0102.png", "shot_99.png"])
    video = open_video(tmp_path / "shot")
    assert [video.frame_name(index) for index in range(3)] == ["shot_99", "shot_0101", "shot_0102"]
    assert Excerpt(video, 1, 3).frame_name(0) == "shot_0101"
    for index in (-1, 3):
        with pytest.raises(IndexError, match=f"no frame {index}"):
            video.frame_name(index)
    assert open_video(make_video("a.mp4", count=2)).frame_name(1) == "00001"


def test_masks_among_the_frames_are_left_out_by_any_path(tmp_path: Path) -> None:
    folder = frames_in(tmp_path / "shot", ["0.png", "1.png", "mask.png", "more.png"])
    (tmp_path / "link.png").symlink_to(folder / "more.png")
    left_out = [folder / ".." / "shot" / "mask.png", tmp_path / "link.png", tmp_path / "none.png"]
    video = open_video(folder, leave_out=left_out)
    assert [video.frame_name(index) for index in range(video.count_frames())] == ["0", "1"]
    with pytest.raises(MissingError, match=r"holds no images.*\.jpg"):
        open_video(folder, leave_out=folder.iterdir())


def test_one_frame_in_two_formats_is_found_wherever_it_is_sorted(tmp_path: Path) -> None:
    frames_in(tmp_path, ["a.bmp", "a.k.bmp", "a.png"])
    with pytest.raises(VosError, match=r"holds both a\.bmp and a\.png"):
        open_video(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_file_is_no_frame(tmp_path: Path) -> None:
    for name in ("0.png", "1.png"):
        write_image(tmp_path / name, np.zeros((8, 8, 3), np.uint8))
    os.mkfifo(tmp_path / "2.png")  # reading it would wait for ever
    (tmp_path / "3.png").mkdir()
    assert open_video(tmp_path).frame_count == 2
