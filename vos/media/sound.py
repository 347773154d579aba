"""The sound of a video, carried into a video that is made from it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

log = logging.getLogger("vos")


class _Kind(NamedTuple):
    """A kind of sound that a container holds."""

    name: str
    encoder: str
    samples: str  # FFmpeg's sample format
    rates: frozenset[int]


_AAC = _Kind(
    "aac",
    "aac",
    "fltp",
    frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200}),
)
_OPUS = _Kind("opus", "libopus", "flt", frozenset({8000, 12000, 16000, 24000, 48000}))
_LAYOUTS = frozenset({"mono", "stereo", "5.1"})


@dataclass(frozen=True)
class Sound:
    """Where the sound of a video is.

    Attributes:
        path: the file that holds it.
        start: seconds in that file at which the first frame is shown.
    """

    path: Path
    start: float = 0.0


class SoundTrack:
    """Sound on its way into an output, beside the frames.

    Sound of the kind that the output holds (AAC, in WebM Opus) is copied, the rest is made so.

    Sound that cannot be read is left out from there on, which is said in a line.
    """

    def __init__(self, sound: Sound, output: OutputContainer) -> None:
        self._sound = sound
        self._output = output
        self._source = av.open(f"file:{sound.path.absolute()}")
        stream = self._source.streams.best("audio")
        self._kind = _OPUS if output.format.name == "webm" else _AAC
        if not isinstance(stream, AudioStream):
            self._packets: Iterator[tuple[float, Packet]] = iter(())
        elif stream.codec_context.name == self._kind.name and stream.codec_context.extradata:
            self._packets = self._copied(self._source, stream)
        else:
            self._packets = self._made(self._source, stream)
        self._next = self._advance()

    def mux_until(self, seconds: float) -> None:
        """Write what is heard before ``seconds`` of the output."""
        while self._next is not None and self._next[0] < seconds:
            self._output.mux(self._next[1])
            self._next = self._advance()

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _advance(self) -> tuple[float, Packet] | None:
        try:
            return next(self._packets, None)
        except (av.FFmpegError, ValueError) as error:
            log.warning("%s: its sound is left out: %s", self._sound.path, error)
            return None

    def _copied(
        self, source: InputContainer, stream: AudioStream
    ) -> Iterator[tuple[float, Packet]]:
        """Packets as they are, with the second of the output that they begin at."""
        copy = self._output.add_stream_from_template(stream)
        return self._shifted(source, stream, copy)

    def _shifted(
        self, source: InputContainer, stream: AudioStream, copy: AudioStream
    ) -> Iterator[tuple[float, Packet]]:
        for packet in source.demux(stream):
            if packet.pts is None or packet.size == 0:
                continue
            shift = round(self._sound.start / packet.time_base)
            packet.pts -= shift
            packet.dts = packet.pts
            if packet.pts >= 0:
                packet.stream = copy
                yield float(packet.pts * packet.time_base), packet

    def _made(self, source: InputContainer, stream: AudioStream) -> Iterator[tuple[float, Packet]]:
        """Packets of the kind of the output, with the second of it that they begin at."""
        rate = stream.rate if stream.rate in self._kind.rates else 48_000
        layout = stream.layout.name if stream.layout.name in _LAYOUTS else "stereo"
        made = self._output.add_stream(self._kind.encoder, rate=rate, layout=layout)
        assert isinstance(made, AudioStream)
        return self._encoded(source, stream, made)

    def _encoded(
        self, source: InputContainer, stream: AudioStream, made: AudioStream
    ) -> Iterator[tuple[float, Packet]]:
        resampler = AudioResampler(format=self._kind.samples, layout=made.layout, rate=made.rate)
        fifo = av.AudioFifo()
        pts: int | None = None
        for frame in self._decoded(source, stream, resampler):
            if pts is None:
                pts = max(0, round((float(frame.time or 0.0) - self._sound.start) * made.rate))
            frame.pts = None
            fifo.write(frame)
            for block in fifo.read_many(made.codec_context.frame_size or 1024):
                block.pts, block.time_base = pts, Fraction(1, made.rate)
                pts += block.samples
                yield from _timed(made.encode(block))
        rest = fifo.read()
        if rest is not None and pts is not None:
            rest.pts, rest.time_base = pts, Fraction(1, made.rate)
            yield from _timed(made.encode(rest))
        yield from _timed(made.encode(None))

    def _decoded(
        self, source: InputContainer, stream: AudioStream, resampler: AudioResampler
    ) -> Iterator[AudioFrame]:
        for frame in source.decode(stream):
            if frame.time is None or frame.time >= self._sound.start - 1e-6:
                yield from resampler.resample(frame)
        with suppress(av.FFmpegError):
            yield from resampler.resample(None)


def _timed(packets: list[Packet]) -> Iterator[tuple[float, Packet]]:
    for packet in packets:
        yield float((packet.pts or 0) * packet.time_base), packet
