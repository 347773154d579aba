"""Where each frame of a file is, so that frame ``i`` can be reached without decoding all before.

Frames are found by timestamps. Packets tell them without any decoding where the container keeps
true ones and the codec shows one frame a packet; elsewhere the file is decoded once.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from vos.errors import VosError
from vos.media.decoding import decode, open_stream

_TRUE_TIMESTAMPS = {"mov", "mp4", "matroska", "webm", "mpegts"}
_ONE_FRAME_A_PACKET = {
    "h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg", "mpeg2video", "mpeg1video", "prores", "ffv1",
}  # fmt: skip
# Other decoders show something in the place of a frame whose references were lost.
_DROP_WHAT_LACKS_A_REFERENCE = {"hevc", "mpeg4"}
_FIRST = 32  # frames; more than any codec delays one


@dataclass(frozen=True)
class FrameIndex:
    """Timestamps of the frames of a file, in the stream's time base.

    Attributes:
        count: number of frames.
        timestamps: (count,) int64, increasing; None if the file has no usable ones.
        keys: increasing timestamps of the key frames.
    """

    count: int
    timestamps: np.ndarray | None
    keys: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def __len__(self) -> int:
        return self.count

    def keys_before(self, number: int, *, tries: int = 3) -> list[int]:
        """Timestamps of the last key frames up to frame ``number``, nearest first."""
        if self.timestamps is None:
            return []
        reachable = self.keys[self.keys <= self.timestamps[number]]
        return reachable[::-1][:tries].tolist()

    def find(self, frames: Iterable[av.VideoFrame], number: int) -> av.VideoFrame | None:
        """Advance ``frames`` to frame ``number``; None if they begin behind it or lack it."""
        assert self.timestamps is not None
        target = int(self.timestamps[number])
        for frame in frames:
            if frame.pts is None or frame.pts > target:
                return None
            if frame.pts == target:
                return frame
        return None


def index_frames(path: Path) -> FrameIndex:
    """Index a video file; one that breaks off is indexed as far as it goes.

    Raises:
        VosError: the file cannot be opened.
    """
    timestamps, keys = _scan_packets(path)
    if timestamps is None:
        return _decode_timestamps(path, keys)
    timestamps = _without_lost_frames(path, timestamps, keys)
    return FrameIndex(len(timestamps), timestamps, keys)


def _without_lost_frames(path: Path, timestamps: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Timestamps of what a decoder shows, where the container may count more than that.

    A decoder passes over frames that refer to what was cut off before the beginning, or to packets
    that were lost midway. So the first frames are decoded, and what is around gaps in time.
    """
    first = int(timestamps[_FIRST]) if len(timestamps) > _FIRST else int(timestamps[-1]) + 1
    spans = [(int(timestamps[0]), first, None), *_around_gaps(path, timestamps, keys)]
    for begin, end, key in spans:
        shown = _decode_span(path, begin, end, key)
        outside = timestamps[(timestamps < begin) | (timestamps >= end)]
        timestamps = np.union1d(outside, shown)
    return timestamps


def _around_gaps(
    path: Path, timestamps: np.ndarray, keys: np.ndarray
) -> list[tuple[int, int, int | None]]:
    """Where frames may be missing because packets were lost: the groups of pictures of a gap and
    behind it, each with the key frame to decode from, one group before."""
    with open_stream(path) as (_, stream):
        if stream.codec_context.name not in _DROP_WHAT_LACKS_A_REFERENCE:
            return []
    steps = np.diff(timestamps)
    gaps = timestamps[:-1][steps > 1.5 * np.median(steps)] if len(steps) else steps
    groups = np.searchsorted(keys, gaps, side="right") - 1
    ends = np.append(keys[1:], timestamps[-1] + 1)
    return [
        (int(keys[group]), int(ends[group]), int(keys[max(group - 1, 0)]))
        for group in np.union1d(groups, groups + 1)
        if 0 <= group < len(keys)
    ]


def _decode_span(path: Path, begin: int, end: int, key: int | None) -> np.ndarray:
    """Timestamps from ``begin`` to ``end`` (not included) that are shown when the file is decoded
    from a key frame on; None for its beginning."""
    shown: list[int] = []
    with open_stream(path) as (container, stream), suppress(VosError):
        if key is not None:
            container.seek(key, stream=stream)
        for frame in decode(path, container, stream):
            if frame.pts is None or frame.pts >= end:
                break
            shown.append(frame.pts)
    return np.array([pts for pts in shown if pts >= begin], np.int64)


def _scan_packets(path: Path) -> tuple[np.ndarray | None, np.ndarray]:
    """Timestamps of frames (None if packets cannot tell them) and of key frames, both sorted."""
    timestamps: list[int | None] = []
    keys: list[int] = []
    lost: int | None = None  # timestamp of a packet cut short by the end of the file
    starts_with_key = False
    with open_stream(path) as (container, stream), suppress(av.FFmpegError):
        trusted = (
            not _TRUE_TIMESTAMPS.isdisjoint(container.format.name.split(","))
            and stream.codec_context.name in _ONE_FRAME_A_PACKET
        )
        for packet in container.demux(stream):
            if packet.is_corrupt:
                lost = packet.pts
                break
            if packet.size == 0:
                continue
            if packet.is_keyframe and packet.pts is not None:
                keys.append(packet.pts)
                starts_with_key = starts_with_key or not timestamps
            if not packet.is_discard:
                timestamps.append(packet.pts)
    sorted_keys = np.unique(np.array(keys, np.int64))
    if not (trusted and starts_with_key) or None in timestamps:
        return None, sorted_keys
    shown = np.unique(np.array(timestamps, np.int64))
    if len(shown) < len(timestamps):
        return None, sorted_keys
    return (shown if lost is None else shown[shown < lost]), sorted_keys


def _decode_timestamps(path: Path, keys: np.ndarray) -> FrameIndex:
    timestamps: list[int | None] = []
    with open_stream(path) as (container, stream), suppress(VosError):
        timestamps.extend(frame.pts for frame in decode(path, container, stream))
    if None in timestamps or (np.diff(np.array(timestamps, np.int64)) <= 0).any():
        return FrameIndex(len(timestamps), None)
    return FrameIndex(len(timestamps), np.array(timestamps, np.int64), keys)
