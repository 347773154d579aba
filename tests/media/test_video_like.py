"""A video made from another is played as that one: its times, shape of pixels and sound."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from vos.media import Video, VideoWriter, open_video
from vos.media.excerpt import Excerpt

SIZE = (32, 48)
PULSES = (0.2, 0.9, 1.5)  # seconds at which something is heard


def write_source(
    path: Path,
    *,
    seconds: list[float],
    voice: str | None = None,
    rate: int = 48_000,
    late: float = 0.0,
    aspect: Fraction = Fraction(1),
    rotation: int = 0,
) -> Path:
    """Grey frames at ``seconds`` and pulses of sound, all ``late`` seconds behind 0."""
    codec = "libvpx" if path.suffix == ".webm" else "libx264"
    if path.suffix == ".avi":
        codec = "mpeg4"
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        stream.set_display_rotation(rotation)
        if path.suffix != ".avi":
            stream.codec_context.time_base = Fraction(1, 1000)
        if voice:
            track: Any = output.add_stream(voice, rate=rate, layout="mono")
            track.codec_context.open()
            _write_sound(output, track, rate, late, seconds[-1])
        for number, second in enumerate(seconds):
            frame = av.VideoFrame.from_ndarray(
                np.full((*SIZE, 3), 5 * number, np.uint8), format="rgb24"
            )
            unit = Fraction(1, 25 if path.suffix == ".avi" else 1000)
            frame.pts, frame.time_base = round((second + late) / unit), unit
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def _write_sound(output: Any, track: Any, rate: int, late: float, length: float) -> None:
    samples = np.zeros((1, int(rate * (length + 0.3))), np.float32)
    time = np.arange(samples.shape[1]) / rate
    for pulse in PULSES:
        heard = (time >= pulse) & (time < pulse + 0.1)
        samples[0, heard] = 0.8 * np.sin(2 * np.pi * 440 * time[heard])
    kind = track.codec_context.format.name
    resampler = av.AudioResampler(kind, "mono", rate, track.codec_context.frame_size or 1024)
    frame = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
    frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
    frame.pts = round(late * rate)
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        output.mux(track.encode(part))
    output.mux(track.encode(None))


def rewritten(path: Path, video: Video, **options: Any) -> Path:
    with VideoWriter.like(path, video, **options) as writer:
        for frame in video:
            writer.write(frame)
    return path


def shown_at(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    return [float(time - times[0]) for time in times]


def pulses_of(path: Path) -> list[float]:
    """Seconds behind the first frame at which sound begins."""
    with av.open(str(path)) as container:
        first = next(container.decode(video=0)).time
    parts, times = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            values = np.abs(np.atleast_2d(frame.to_ndarray()).astype(np.float64)).max(axis=0)
            parts.append(values / 32768 if frame.format.name.startswith("s16") else values)
            times.append(frame.time - first + np.arange(len(values)) / frame.sample_rate)
    loud, time = np.concatenate(parts) > 0.3, np.concatenate(times)
    begins = time[loud][np.append(True, np.diff(time[loud]) > 0.2)]
    return begins.tolist()


EVEN = [index / 25 for index in range(50)]
UNEVEN = [index * 0.04 for index in range(10)] + [0.4 + 0.3 * index for index in range(6)]


@pytest.mark.parametrize(
    ("name", "voice", "copied"),
    [
        ("a.mp4", "aac", True),
        ("a.mkv", "aac", True),
        ("a.mkv", "flac", False),
        ("a.webm", "libopus", False),
        ("a.avi", "libmp3lame", False),
        ("a.ts", "aac", False),
        ("a.mov", "pcm_s16le", False),
    ],
)
def test_sound_is_heard_when_it_was(tmp_path: Path, name: str, voice: str, copied: bool) -> None:
    source = write_source(tmp_path / name, seconds=EVEN, voice=voice)
    made = rewritten(tmp_path / "made.mp4", open_video(source))
    with av.open(str(made)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        assert abs(float(container.duration) / av.time_base - 2) < 0.1
    np.testing.assert_allclose(pulses_of(made), PULSES, atol=0.03)
    if copied:
        assert 80 < len(packets_of(made)) <= len(packets_of(source))
        assert set(packets_of(made)) <= set(packets_of(source))
    silent = rewritten(tmp_path / "silent.mp4", open_video(source), sound=False)
    with av.open(str(silent)) as container:
        assert len(container.streams.audio) == 0


def packets_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.parametrize("name", ["late.mkv", "late.ts"])
def test_files_that_begin_late_keep_picture_and_sound_together(tmp_path: Path, name: str) -> None:
    source = write_source(tmp_path / name, seconds=EVEN, voice="aac", late=3.0)
    made = rewritten(tmp_path / "made.mp4", open_video(source))
    np.testing.assert_allclose(pulses_of(made), PULSES, atol=0.03)


def test_an_excerpt_has_its_part_of_the_sound(tmp_path: Path) -> None:
    video = open_video(write_source(tmp_path / "a.mp4", seconds=EVEN, voice="aac"))
    made = rewritten(tmp_path / "made.mp4", Excerpt(video, 20, 45))  # 0.8 to 1.8 seconds
    np.testing.assert_allclose(pulses_of(made), [0.1, 0.7], atol=0.03)
    with av.open(str(made)) as container:
        assert float(container.duration) / av.time_base < 1.1


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_uneven_times_live_on(tmp_path: Path, name: str) -> None:
    source = write_source(tmp_path / name, seconds=UNEVEN, voice="aac")
    made = rewritten(tmp_path / "made.mp4", open_video(source))
    np.testing.assert_allclose(shown_at(made), UNEVEN, atol=0.002)
    with VideoWriter.like(tmp_path / "third.mp4", open_video(source), every=3) as writer:
        for frame in list(open_video(source))[::3]:
            writer.write(frame)
    np.testing.assert_allclose(shown_at(tmp_path / "third.mp4"), UNEVEN[::3], atol=0.002)


@pytest.mark.parametrize("rotation", [0, 90])
def test_the_shape_of_pixels_lives_on(tmp_path: Path, rotation: int) -> None:
    aspect = Fraction(16, 11)
    source = write_source(tmp_path / "a.mp4", seconds=EVEN[:3], aspect=aspect, rotation=rotation)
    video = open_video(source)
    assert video.pixel_aspect == (1 / aspect if rotation else aspect)
    made = rewritten(tmp_path / "made.mp4", Excerpt(video, 0, 3))
    assert open_video(made).pixel_aspect == video.pixel_aspect
    with av.open(str(made)) as container:
        assert container.streams.video[0].sample_aspect_ratio == video.pixel_aspect


def test_videos_without_sound_and_folders(
    tmp_path: Path, make_video: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    video = open_video(make_video("plain.mp4", count=5))
    assert (video.sound, video.pixel_aspect) == (None, 1)
    made = open_video(rewritten(tmp_path / "made.mp4", video))
    assert (made.count_frames(), made.frame_rate, made.sound) == (5, 25, None)
    assert caplog.text == ""
