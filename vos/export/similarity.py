"""How much every place of a clip resembles one point of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np

from vos.errors import UsageError
from vos.export.geometry import resize_map
from vos.export.reader import Features
from vos.export.sampling import sample_tokens
from vos.export.segments import unit


@dataclass(frozen=True)
class Point:
    """A place in a video: frame number of the source, and pixel coordinates."""

    frame: int
    x: float
    y: float


def parse_point(text: str) -> Point:
    """``"0:120,64"`` as frame 0, x 120, y 64; without a frame it is frame 0.

    Raises:
        UsageError: another form.
    """
    found = re.fullmatch(r"(?:(\d+):)?(-?[\d.]+),(-?[\d.]+)", text.replace(" ", ""))
    try:
        assert found
        return Point(int(found[1] or 0), float(found[2]), float(found[3]))
    except (AssertionError, ValueError):
        raise UsageError(f"a point is FRAME:X,Y, such as 0:120,64, not {text!r}") from None


@dataclass(frozen=True)
class Similarity:
    """Cosine similarity to one point.

    Attributes:
        point: where it was taken.
        feature: (C,) float32 unit vector.
        low: the similarity that is shown darkest, the clip's median; 1 is shown brightest.
    """

    point: Point
    feature: np.ndarray
    low: float

    def map(self, features: Features, t: int) -> np.ndarray:
        """Return (H, W) float32 in [-1, 1], at the source's size."""
        tokens = np.tensordot(self.feature, unit(features[t], axis=0), axes=1)
        return resize_map(tokens[None], features.geometry, features.geometry.size)[0]

    def paint(self, features: Features, t: int, frame: np.ndarray) -> np.ndarray:
        """Return the map as heat over the frame; the point itself is ringed. (H, W, 3) uint8."""
        level = (self.map(features, t) - self.low) / max(1 - self.low, 1e-6)
        heat = cv2.applyColorMap((level.clip(0, 1) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[
            ..., ::-1
        ]
        picture = cv2.addWeighted(frame, 0.35, np.ascontiguousarray(heat), 0.65, 0)
        if features.frame_indices[t] == self.point.frame:
            centre = (round(self.point.x), round(self.point.y))
            radius = max(4, min(frame.shape[:2]) // 40)
            cv2.circle(picture, centre, radius + 1, (0, 0, 0), 3, cv2.LINE_AA)
            cv2.circle(picture, centre, radius + 1, (255, 255, 255), 1, cv2.LINE_AA)
        return picture


def fit_similarity(features: Features, point: Point) -> Similarity:
    """Return the feature at a point of an exported frame.

    Raises:
        UsageError: the frame is not among the exported ones, or the point lies outside it.
    """
    number = int(np.searchsorted(features.frame_indices, point.frame))
    if number == len(features) or features.frame_indices[number] != point.frame:
        raise UsageError(f"frame {point.frame} is not among the exported frames of {features.path}")
    feature = unit(features.sample(number, np.array([[point.x, point.y]])), axis=1)[0]
    tokens = unit(sample_tokens(features), axis=1)
    return Similarity(point, feature, float(np.median(tokens @ feature)))
