"""A clip cut into parts that look alike to the backbone: spherical k-means of its tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.vq import kmeans2

from vos.errors import UsageError
from vos.export.geometry import resize_map
from vos.export.reader import Features
from vos.export.sampling import sample_tokens
from vos.media import VOID

_ITERATIONS = 30


@dataclass(frozen=True)
class Segments:
    """Cluster centres, one set for all frames.

    Attributes:
        centres: (K, C) float32 unit vectors, the cluster with the most tokens first.
    """

    centres: np.ndarray

    def mask(self, features: Features, t: int) -> np.ndarray:
        """Return (H, W) uint8 at the source's size: 1 + the cluster of each pixel."""
        similarity = np.tensordot(self.centres, unit(features[t], axis=0), axes=1)
        pixels = resize_map(similarity, features.geometry, features.geometry.size)
        return (pixels.argmax(0) + 1).astype(np.uint8)


def fit_segments(features: Features, clusters: int, *, seed: int = 0) -> Segments:
    """k-means++ and Lloyd's iterations on a bounded sample of the clip's tokens, length aside.

    Raises:
        UsageError: ``clusters`` is not 2 to 254, or more than there are tokens.
    """
    tokens = unit(sample_tokens(features, seed=seed), axis=1)
    check_clusters(clusters)
    if clusters > len(tokens):
        raise UsageError(f"{clusters} clusters are more than the {len(tokens)} tokens of the clip")
    generator = np.random.default_rng(seed)
    centres, labels = kmeans2(tokens, clusters, _ITERATIONS, minit="++", rng=generator)
    order = np.argsort(-np.bincount(labels, minlength=clusters), kind="stable")
    return Segments(unit(centres[order], axis=1))


def check_clusters(clusters: int) -> None:
    """Raise UsageError unless each cluster can have an id of its own."""
    if not 2 <= clusters < VOID:
        raise UsageError(f"`clusters` takes 2 to {VOID - 1}, not {clusters}")


def unit(features: np.ndarray, axis: int) -> np.ndarray:
    """Vectors along ``axis`` brought to length 1, as float32."""
    features = features.astype(np.float32)
    length = np.linalg.norm(features, axis=axis, keepdims=True)
    return features / np.maximum(length, 1e-12)
