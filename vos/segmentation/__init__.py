"""Masks through a video: marks in, passes over the frames, masks and confidence out."""

from vos.segmentation.propagate import make_extractor, propagate
from vos.segmentation.run import propagate_many
from vos.segmentation.segment import SegmentedFrame, segment
from vos.segmentation.session import Session

__all__ = ["SegmentedFrame", "Session", "make_extractor", "propagate", "propagate_many", "segment"]
