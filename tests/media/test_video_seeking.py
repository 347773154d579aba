"""Frame ``i`` is frame ``i``, however it is reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from vos.errors import UsageError
from vos.media import Video, open_video

B_FRAMES = {"bf": "3", "g": "12", "b-pyramid": "normal"}
VARIABLE = [0, 40, 45, 160, 161, 400, 440, 1000, *range(1040, 1040 + 32 * 7, 7)]

FILES: dict[str, dict[str, Any]] = {
    "b-frames.mp4": {"options": B_FRAMES},
    "open-gop.mp4": {"options": {**B_FRAMES, "x264-params": "open-gop=1"}},
    "key-frames-only.mp4": {"options": {"g": "1"}},
    "one-key-frame.mp4": {"options": {"g": "250"}},
    "variable-rate.mp4": {"timestamps": VARIABLE},
    "variable-rate.mkv": {"timestamps": VARIABLE, "options": B_FRAMES},
    "fragments.mp4": {"container": {"movflags": "frag_keyframe+empty_moov"}, "options": B_FRAMES},
    "late-start.mp4": {
        "timestamps": [5000 + 40 * n for n in range(40)],
        "container": {"use_editlist": "0"},
        "options": B_FRAMES,
    },
    "late-start.ts": {"options": B_FRAMES},
    "matroska.mkv": {"options": B_FRAMES},
    "decode-order.avi": {"options": B_FRAMES},  # timestamps in AVI are those of decoding
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2", "g": "12", "qscale": "2"}},
    "no-timestamps.h264": {"options": B_FRAMES},
    "hidden-frames.webm": {
        "codec": "libvpx",
        "options": {"auto-alt-ref": "1", "lag-in-frames": "16", "b": "900k", "g": "12"},
    },
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "12", "lag-in-frames": "8"}},
    "full-chroma.mkv": {"codec": "ffv1", "pixels": "bgr0"},
    "ten-bits.mkv": {"pixels": "yuv420p10le"},
    "grey.mkv": {"codec": "ffv1", "pixels": "gray"},
    "picture.gif": {"codec": "gif", "pixels": "rgb8"},
    "with-sound.mp4": {"sound": True, "options": B_FRAMES},
}


@pytest.fixture(params=FILES)
def video(request: pytest.FixtureRequest, make_video: Callable[..., Path]) -> Iterator[Video]:
    yield open_video(make_video(request.param, **FILES[request.param]))


def test_every_frame_by_walking_by_reading_and_by_number(
    video: Video, frame_number: Callable[[np.ndarray], int]
) -> None:
    walked = list(video)
    assert [frame_number(frame) for frame in walked] == list(range(40))
    assert all(frame.shape == (64, 96, 3) and frame.dtype == np.uint8 for frame in walked)
    for index in (0, 1, 11, 12, 13, 23, 25, 39, -1, -40):
        np.testing.assert_array_equal(video[index], walked[index])
    for start, stop in [(0, 3), (5, 5), (7, 9), (11, 26), (30, None), (38, 99), (40, None)]:
        parts = list(video.read(start, stop))
        assert [frame_number(frame) for frame in parts] == list(range(40))[start:stop]
    assert video.count_frames() == video.frame_count == 40


def copy_packets(source: Path, path: Path, keep: Callable[[list[Any]], list[Any]]) -> Path:
    """Copy the packets that ``keep`` chooses, as `ffmpeg -c copy` does."""
    with av.open(str(source)) as container, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(container.streams.video[0])
        for packet in keep([packet for packet in container.demux(video=0) if packet.size]):
            packet.stream = stream
            output.mux(packet)
    return path


def from_the_second_key(packets: list[Any]) -> list[Any]:
    keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
    return packets[keys[1] :]


def without_some(packets: list[Any]) -> list[Any]:
    return [packet for number, packet in enumerate(packets) if number not in (15, 16, 29)]


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_what_a_cut_leaves_undecodable_is_not_counted(
    make_video: Callable[..., Path],
    frame_number: Callable[[np.ndarray], int],
    tmp_path: Path,
    codec: str,
    suffix: str,
) -> None:
    parameters = {
        "libx264": {"x264-params": "open-gop=1:keyint=12:bframes=3:scenecut=0"},
        "libx265": {"x265-params": "open-gop=1:keyint=12:bframes=3:scenecut=0:log-level=none"},
    }
    source = make_video(f"whole.{suffix}", codec=codec, options=parameters[codec])
    video = open_video(copy_packets(source, tmp_path / f"cut.{suffix}", from_the_second_key))
    numbers = [frame_number(frame) for frame in open_video(video.path)]
    assert numbers == list(range(numbers[0], 40))
    assert len(numbers) in range(25, 32)
    assert video.count_frames() == len(video.frame_times()) == len(numbers)
    assert [frame_number(video[index]) for index in (0, 1, 5, 12, 13, 14, -1)] == [
        numbers[index] for index in (0, 1, 5, 12, 13, 14, -1)
    ]
    assert [frame_number(frame) for frame in video.read(7, 20)] == numbers[7:20]


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx265", {"x265-params": "keyint=12:bframes=3:scenecut=0:log-level=none"}),
        ("mpeg4", {"bf": "2", "g": "12", "qscale": "2"}),
    ],
)
def test_what_lost_packets_leave_undecodable_is_not_counted(
    make_video: Callable[..., Path],
    frame_number: Callable[[np.ndarray], int],
    tmp_path: Path,
    codec: str,
    options: dict[str, str],
) -> None:
    source = make_video("whole.mp4", codec=codec, options=options)
    video = open_video(copy_packets(source, tmp_path / "holes.mp4", without_some))
    walked = [frame_number(frame) for frame in open_video(video.path)]
    assert 15 < len(walked) < 37
    assert video.count_frames() == len(video.frame_times()) == len(walked)
    last = range(len(walked) - 8, len(walked))
    assert [frame_number(video[index]) for index in last] == walked[-8:]


def test_frames_beyond_either_end(make_video: Callable[..., Path]) -> None:
    video = open_video(make_video("short.mp4", count=3))
    for index in (3, -4):
        with pytest.raises(IndexError, match="has no frame"):
            video[index]
    with pytest.raises(UsageError, match="counted from 0"):
        video.read(-1)


def test_readers_do_not_disturb_one_another(
    make_video: Callable[..., Path], frame_number: Callable[[np.ndarray], int]
) -> None:
    video = open_video(make_video("shared.mp4"))
    pairs = zip(video, video.read(10), strict=False)
    assert [(frame_number(a), frame_number(b)) for a, b in pairs] == [
        (n, n + 10) for n in range(30)
    ]


@pytest.mark.parametrize(("name", "rate"), [("variable-rate.mp4", 39 / 1.257), ("x.mp4", 25)])
def test_rate_is_the_average(make_video: Callable[..., Path], name: str, rate: float) -> None:
    video = open_video(make_video(name, **FILES.get(name, {})))
    assert video.fps == pytest.approx(rate, rel=0.05)


def test_every_frame_has_the_time_at_which_it_is_shown(make_video: Callable[..., Path]) -> None:
    for name in ("variable-rate.mp4", "variable-rate.mkv"):
        times = open_video(make_video(name, **FILES[name])).frame_times()
        np.testing.assert_allclose(times, np.array(VARIABLE) / 1000, atol=1e-9)
    for name in ("late-start.mp4", "late-start.ts", "b-frames.mp4", "no-timestamps.h264"):
        times = open_video(make_video(name, **FILES[name])).frame_times()
        np.testing.assert_allclose(times, np.arange(40) / 25, atol=1e-3)
