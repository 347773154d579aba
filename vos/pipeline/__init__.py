"""Video and a few masks in, the masks of all frames out: backbone and propagator as one stream."""

from vos.pipeline.segment import SegmentedFrame, segment
from vos.pipeline.stopwatch import Stopwatch
from vos.pipeline.stream import make_extractor, propagate, read_backwards

__all__ = [
    "SegmentedFrame",
    "Stopwatch",
    "make_extractor",
    "propagate",
    "read_backwards",
    "segment",
]
