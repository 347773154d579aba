"""Videos with transparency, read back: alpha, colours, the times of frames, and sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from vos.errors import UsageError, VosError
from vos.media import VideoWriter, open_video
from vos.media.encodings import PRORES_4444, VP9_ALPHA, Encoding

MILLISECONDS = [0, 40, 120, 160, 400, 440, 520, 900]
BOTH = pytest.mark.parametrize("encoding", [PRORES_4444, VP9_ALPHA], ids=["mov", "webm"])


def cut_frame(size: tuple[int, int], index: int) -> np.ndarray:
    """RGBA: one colour, opaque in a square that moves, half opaque in another."""
    frame = np.zeros((*size, 4), np.uint8)
    frame[..., :3] = 200, 60, 120
    frame[8:32, 8 + 2 * index : 32 + 2 * index, 3] = 255
    frame[36:52, 8:40, 3] = 128
    return frame


def write(path: Path, encoding: Encoding, size: tuple[int, int] = (64, 96)) -> list[np.ndarray]:
    frames = [cut_frame(size, index) for index in range(8)]
    with VideoWriter(path, fps=25, size=size, encoding=encoding) as writer:
        for frame in frames:
            writer.write(frame)
    return frames


def read_rgba(path: Path) -> Iterator[np.ndarray]:
    """FFmpeg's own decoder of VP9 knows no alpha, that of libvpx does."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context
        if codec.name == "vp9":
            codec = av.CodecContext.create("libvpx-vp9", "r")
        for packet in container.demux(stream):
            for frame in codec.decode(packet):
                yield frame.to_ndarray(format="rgba")


def heard(path: Path) -> tuple[str, float]:
    """The codec of the sound, and how many seconds of it there are."""
    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        frames = container.decode(stream)
        return stream.codec_context.name, sum(each.samples / each.sample_rate for each in frames)


def in_file(tmp_path: Path, encoding: Encoding) -> Path:
    return tmp_path / f"out{encoding.suffixes[0]}"


@BOTH
@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
def test_alpha_and_colours_survive(
    tmp_path: Path, encoding: Encoding, size: tuple[int, int]
) -> None:
    path = in_file(tmp_path, encoding)
    frames = write(path, encoding, size)
    back = list(read_rgba(path))
    assert len(back) == len(frames)
    for shown, frame in zip(back, frames, strict=True):
        assert shown.shape == frame.shape
        away = np.abs(shown.astype(int) - frame)
        assert away[..., 3].max() <= (1 if encoding is PRORES_4444 else 12)
        assert away[frame[..., 3] > 0].max() <= 12
        assert away.mean() < 1


def test_what_editing_programs_look_for(tmp_path: Path) -> None:
    write(in_file(tmp_path, PRORES_4444), PRORES_4444)
    with av.open(str(in_file(tmp_path, PRORES_4444))) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.codec_tag, codec.profile) == ("prores", "ap4h", "4444")
        assert codec.pix_fmt.startswith("yuva444p")
    write(in_file(tmp_path, VP9_ALPHA), VP9_ALPHA)
    with av.open(str(in_file(tmp_path, VP9_ALPHA))) as container:
        assert container.streams.video[0].metadata["alpha_mode"] == "1"


@BOTH
def test_times_and_sound_go_along(
    make_video: Callable[..., Path], tmp_path: Path, encoding: Encoding
) -> None:
    source = open_video(make_video("phone.mp4", count=8, timestamps=MILLISECONDS, sound=True))
    path = in_file(tmp_path, encoding)
    with VideoWriter.like(path, source, encoding=encoding) as writer:
        for frame in source:
            writer.write(np.dstack([frame, frame[..., 0]]))
    back = open_video(path)
    np.testing.assert_allclose(back.frame_times() * 1000, MILLISECONDS, atol=1)
    kind, seconds = heard(path)
    assert kind == ("aac" if encoding is PRORES_4444 else "opus")
    assert seconds == pytest.approx(heard(source.path)[1], abs=0.025)


@BOTH
def test_what_cannot_be_written(tmp_path: Path, encoding: Encoding) -> None:
    with pytest.raises(UsageError, match=rf"{encoding.name} .* as {encoding.suffixes[0]}"):
        VideoWriter(tmp_path / "out.mp4", fps=25, size=(64, 96), encoding=encoding)
    with (
        pytest.raises(VosError, match="takes 96 x 64 RGBA frames"),
        VideoWriter(in_file(tmp_path, encoding), fps=25, size=(64, 96), encoding=encoding) as out,
    ):
        out.write(np.zeros((64, 96, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []
