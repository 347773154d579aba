"""Video files as cameras write them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

SOUND = {".mp4": "aac", ".webm": "libopus"}


def film(
    path: Path,
    frames: Iterator[np.ndarray],
    *,
    times: list[int] | None = None,
    rotation: int = 0,
    sound: bool = False,
) -> Path:
    """Write frames, 25 a second or at ``times`` in milliseconds.

    MP4 is H.264 (of even sizes), WebM is VP8 without a length in its head, as browsers record it,
    the rest FFV1.
    """
    codec = {".mp4": "libx264", ".webm": "libvpx"}.get(path.suffix, "ffv1")
    live = {"live": "1"} if path.suffix == ".webm" else {}
    with av.open(str(path), "w", options=live) as output:
        stream: Any = None
        for number, frame in enumerate(frames):
            if stream is None:
                stream = output.add_stream(codec, rate=25)
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = "bgr0" if codec == "ffv1" else "yuv420p"
                stream.codec_context.time_base = Fraction(1, 1000 if times else 25)
                stream.set_display_rotation(rotation)
                voice: Any = (
                    output.add_stream(SOUND[path.suffix], rate=48000, layout="mono")
                    if sound
                    else None
                )
            image = av.VideoFrame.from_ndarray(frame, format="rgb24")
            image.pts = times[number] if times else number
            image.time_base = stream.codec_context.time_base
            output.mux(stream.encode(image))
            if voice is not None and number < 4:
                samples = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), "fltp", "mono")
                samples.sample_rate, samples.pts = 48000, number * 960
                output.mux(voice.encode(samples))
        output.mux(stream.encode(None))
    return path
