"""What is written plays in browsers, has the right colours, and is whole or absent."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vos.errors import UsageError, VosError
from vos.media import VideoWriter, open_video


def gradient(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    red, green = 255 * x // width, 255 * y // height
    return np.stack([red, green, 255 - red], axis=2).astype(np.uint8)


def write(path: Path, frames: list[np.ndarray], fps: float | Fraction = 25) -> Path:
    with VideoWriter(path, fps=fps, size=frames[0].shape[:2]) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def top_boxes(path: Path) -> list[str]:
    content, position, boxes = path.read_bytes(), 0, []
    while position < len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        boxes.append(kind.decode())
        position += length
    return boxes


def test_browsers_can_play_it(tmp_path: Path) -> None:
    path = write(tmp_path / "new folder" / "out.mp4", [gradient(64, 96)] * 10)
    boxes = top_boxes(path)
    assert boxes.index("moov") < boxes.index("mdat"), "a browser starts before all is loaded"
    with av.open(str(path)) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
        assert codec.profile in ("Constrained Baseline", "Main", "High")
        # BT.709 in limited range, all of it said, so that no player has to guess.
        tags = codec.colorspace, codec.color_primaries, codec.color_trc, codec.color_range
        assert [int(tag) for tag in tags] == [1, 1, 1, 1]


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (16, 16), (480, 854)])
def test_colours_and_sizes_survive(tmp_path: Path, size: tuple[int, int]) -> None:
    frame = gradient(*size)
    back = open_video(write(tmp_path / "out.mp4", [frame] * 3))[1]
    height, width = size
    assert back.shape == (height + height % 2, width + width % 2, 3)
    difference = np.abs(back[:height, :width].astype(int) - frame)
    assert difference.mean() < (10 if height == 16 else 3)


def test_pure_colours_survive(tmp_path: Path) -> None:
    for colour in [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 64, 7)]:
        frame = np.full((32, 32, 3), colour, np.uint8)
        back = open_video(write(tmp_path / "colour.mp4", [frame]))[0]
        assert np.abs(back.astype(int) - frame).max() <= 4, colour


def test_odd_sizes_repeat_the_last_row_and_column(tmp_path: Path) -> None:
    frame = np.zeros((33, 35, 3), np.uint8)
    frame[-1:], frame[:, -1:] = 255, 255
    back = open_video(write(tmp_path / "odd.mp4", [frame]))[0]
    assert back[:, 34:].min() > 180
    assert back[32:].min() > 180


@pytest.mark.parametrize("fps", [25, 29.97, Fraction(30000, 1001), Fraction(5, 2), 12.5])
def test_rate_and_numbers_survive(
    tmp_path: Path, make_frame: Callable, frame_number: Callable, fps: float | Fraction
) -> None:
    video = open_video(write(tmp_path / "rate.mp4", [make_frame(n) for n in range(60)], fps))
    assert video.fps == pytest.approx(float(fps), rel=1e-6)
    assert [frame_number(frame) for frame in video] == list(range(60))


def test_a_failed_block_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt), VideoWriter(path, fps=25, size=(64, 96)) as writer:
        writer.write(gradient(64, 96))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "out.mp4", [gradient(64, 96)] * 2)
    old = path.read_bytes()
    with VideoWriter(path, fps=25, size=(64, 96)) as writer:
        writer.write(gradient(64, 96))
        assert path.read_bytes() == old
    assert open_video(path).count_frames() == 1


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"written as \.mp4"):
        VideoWriter(tmp_path / "out.avi", fps=25, size=(64, 96))
    with pytest.raises(UsageError, match="frame rate"):
        VideoWriter(tmp_path / "out.mp4", fps=0, size=(64, 96))
    with (
        pytest.raises(VosError, match="takes 96 x 64 RGB frames"),
        VideoWriter(tmp_path / "out.mp4", fps=25, size=(64, 96)) as writer,
    ):
        writer.write(gradient(64, 98))
    with (
        pytest.raises(VosError, match="no frame was written"),
        VideoWriter(tmp_path / "out.mp4", fps=25, size=(64, 96)),
    ):
        pass
    (tmp_path / "file").touch()
    with (
        pytest.raises(VosError, match="cannot write"),
        VideoWriter(tmp_path / "file" / "out.mp4", fps=25, size=(64, 96)),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
