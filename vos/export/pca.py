"""Features as colours: three principal components of the whole clip as red, green and blue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vos.export.geometry import resize_map
from vos.export.reader import Features
from vos.export.sampling import sample_tokens


@dataclass(frozen=True)
class FeatureColours:
    """A fixed map from features to colours, one for all frames, so that colours can be followed.

    Attributes:
        mean: (C,) float32.
        axes: (3, C) float32, orthonormal, by falling variance; rows are zero where the clip has
            fewer dimensions.
        low, high: (3,) float32, the projections that are shown as 0 and as 1.
    """

    mean: np.ndarray
    axes: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def project(self, tokens: np.ndarray) -> np.ndarray:
        """(N, C) tokens to (N, 3) colours, not clipped to [0, 1]."""
        span = np.maximum(self.high - self.low, 1e-12)
        return ((tokens - self.mean) @ self.axes.T - self.low) / span

    def paint(self, features: Features, t: int) -> np.ndarray:
        """Frame number ``t`` as a picture of the source's size, (H, W, 3) uint8."""
        _, channels, rows, columns = features.shape
        tokens = features[t].reshape(channels, -1).T.astype(np.float32)
        colours = self.project(tokens).T.reshape(3, rows, columns)
        picture = resize_map(colours, features.geometry, features.geometry.size)
        return (picture.clip(0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)


def fit_colours(features: Features, *, seed: int = 0) -> FeatureColours:
    """Principal components of a bounded sample of the clip's tokens.

    The sign of a component is arbitrary; here its largest entry (in absolute value) is positive,
    so that a second run gives the same colours. Colours span the 1st to the 99th percentile.
    """
    tokens = sample_tokens(features, seed=seed)
    mean = tokens.mean(0, dtype=np.float64)
    centred = tokens - mean
    variances, vectors = np.linalg.eigh(centred.T @ centred / len(tokens))
    strongest = vectors.T[::-1][:3]
    strongest = strongest * (variances[::-1][:3, None] > 1e-12)
    peaks = np.abs(strongest).argmax(1)
    strongest *= np.where(strongest[np.arange(len(peaks)), peaks] < 0, -1, 1)[:, None]
    axes = np.zeros((3, tokens.shape[1]))
    axes[: len(strongest)] = strongest
    low, high = np.percentile(centred @ axes.T, (1, 99), axis=0)
    parts = (mean, axes, low, high)
    return FeatureColours(*(part.astype(np.float32) for part in parts))
