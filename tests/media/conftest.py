"""Videos whose frames carry their own number, so that a test can tell which frame it got."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

BITS = 8


def numbered_frame(number: int, size: tuple[int, int] = (64, 96)) -> np.ndarray:
    """The number in the upper half, a bit a stripe; noise below, so that prediction has work."""
    height, width = size
    frame = np.random.default_rng(number // 7).integers(0, 256, (height, width, 3), np.uint8)
    for bit in range(BITS):
        stripe = slice(bit * width // BITS, (bit + 1) * width // BITS)
        frame[: height // 2, stripe] = 235 if number >> bit & 1 else 20
    return frame


def number_of(frame: np.ndarray) -> int:
    """The number that a decoded frame carries."""
    height, width = frame.shape[:2]
    stripes = [frame[2 : height // 2 - 2, (2 * bit + 1) * width // 16] for bit in range(BITS)]
    return sum((stripe.mean() > 128) << bit for bit, stripe in enumerate(stripes))


def write_video(
    path: Path,
    *,
    count: int = 40,
    size: tuple[int, int] = (64, 96),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rotation: int = 0,
    timestamps: list[int] | None = None,
    container: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    sound: bool = False,
) -> Path:
    """Write numbered frames, 25 a second or at ``timestamps`` in milliseconds."""
    with av.open(str(path), "w", options=container or {}) as output:
        stream: Any = output.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = Fraction(1, 1000 if timestamps else 25)
        stream.set_display_rotation(rotation)
        if sound:
            voice: Any = output.add_stream("aac", rate=16000, layout="mono")
        for number in range(count):
            image = av.VideoFrame.from_ndarray(numbered_frame(number, size), format="rgb24")
            image.pts = timestamps[number] if timestamps else number
            image.time_base = stream.codec_context.time_base
            output.mux(stream.encode(image))
            if sound and number < 10:
                samples = av.AudioFrame.from_ndarray(
                    np.zeros((1, 1024), np.float32), "fltp", "mono"
                )
                samples.sample_rate, samples.pts = 16000, number * 1024
                output.mux(voice.encode(samples))
        output.mux(stream.encode(None))
    return path


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    """``make_video("name.mp4", **how)`` writes a numbered video; see ``write_video``."""
    return lambda name, **how: write_video(tmp_path / name, **how)


@pytest.fixture
def frame_number() -> Callable[[np.ndarray], int]:
    return number_of


@pytest.fixture
def make_frame() -> Callable[..., np.ndarray]:
    return numbered_frame
