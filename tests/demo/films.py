"""Video files as cameras write them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np


def film(
    path: Path,
    frames: Iterator[np.ndarray],
    *,
    times: list[int] | None = None,
    rotation: int = 0,
    sound: bool = False,
) -> Path:
    """Write frames (even sizes for H.264), 25 a second or at ``times`` in milliseconds."""
    with av.open(str(path), "w") as output:
        stream: Any = None
        for number, frame in enumerate(frames):
            if stream is None:
                codec = "libx264" if frame.shape[0] % 2 == frame.shape[1] % 2 == 0 else "ffv1"
                stream = output.add_stream(codec, rate=25)
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = "yuv420p" if codec == "libx264" else "bgr0"
                stream.codec_context.time_base = Fraction(1, 1000 if times else 25)
                stream.set_display_rotation(rotation)
                voice: Any = output.add_stream("aac", rate=16000, layout="mono") if sound else None
            image = av.VideoFrame.from_ndarray(frame, format="rgb24")
            image.pts = times[number] if times else number
            image.time_base = stream.codec_context.time_base
            output.mux(stream.encode(image))
            if voice is not None and number < 4:
                samples = av.AudioFrame.from_ndarray(
                    np.zeros((1, 1024), np.float32), "fltp", "mono"
                )
                samples.sample_rate, samples.pts = 16000, number * 1024
                output.mux(voice.encode(samples))
        output.mux(stream.encode(None))
    return path
