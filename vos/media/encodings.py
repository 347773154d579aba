"""The forms in which videos are written: codec, pixels, and the container of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_INDEX_AT_THE_FRONT = {"movflags": "+faststart"}


@dataclass(frozen=True)
class Encoding:
    """How frames become a video file.

    Attributes:
        name: what messages call it.
        suffixes: of its files; the first one is taken where nobody chose.
        codec: FFmpeg's encoder.
        pixels: FFmpeg's pixel format; with an alpha channel, frames are RGBA.
        options: of the encoder.
        container: options of the file.
        even: both sizes must be even.
        square: pixels are square: frames are stored as wide as they are shown.
    """

    name: str
    suffixes: tuple[str, ...]
    codec: str
    pixels: str
    options: Mapping[str, str]
    container: Mapping[str, str] = field(default_factory=dict)
    even: bool = False
    square: bool = False

    @property
    def channels(self) -> int:
        """4 where transparency is kept (RGBA), else 3 (RGB)."""
        return 4 if self.pixels.startswith("yuva") else 3


# Visually lossless, at a speed that never holds up the network before it, and with key frames
# near enough to one another that a browser jumps at once.
H264 = Encoding(
    "H.264",
    (".mp4", ".m4v", ".mov"),
    "libx264",
    "yuv420p",
    {"crf": "18", "preset": "veryfast", "g": "48"},
    _INDEX_AT_THE_FRONT,
    even=True,
)
# What editing programs take with transparency; alpha has 16 bits and loses nothing.
PRORES_4444 = Encoding(
    "ProRes 4444",
    (".mov",),
    "prores_ks",
    "yuva444p10le",
    {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"},
    _INDEX_AT_THE_FRONT,
)
# What browsers play with transparency.
VP9_ALPHA = Encoding(
    "VP9 with transparency",
    (".webm",),
    "libvpx-vp9",
    "yuva420p",
    {"crf": "20", "b": "0", "row-mt": "1", "cpu-used": "6", "g": "48"},
    square=True,  # WebM has a place for the shape, which PyAV cannot fill
)
