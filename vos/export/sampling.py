"""A bounded sample of the tokens of a clip, for what is fitted once to the whole of it."""

from __future__ import annotations

import numpy as np

from vos.export.reader import Features

_TOKENS = 16384
_FRAMES = 64


def sample_tokens(features: Features, *, seed: int = 0) -> np.ndarray:
    """Return tokens from frames spread evenly over the clip, at most 16384 of at most 64 frames.

    Returns:
        (N, C) float32, the same for the same clip and seed.
    """
    chosen = spread(len(features), _FRAMES)
    per_frame = min(-(-_TOKENS // len(chosen)), features.shape[2] * features.shape[3])
    random = np.random.default_rng(seed)
    parts = []
    for number in chosen:
        tokens = features[number].reshape(features.shape[1], -1).T
        parts.append(tokens[random.permutation(len(tokens))[:per_frame]].astype(np.float32))
    return np.concatenate(parts)


def spread(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` numbers spread evenly over ``range(count)``, first and last included.

    >>> spread(10, 4)
    [0, 3, 6, 9]
    """
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int)).tolist()
