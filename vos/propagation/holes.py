"""A solid object stays solid: what it encloses and what moves with it belongs to it.

The dark patches of a ball look like the dark forest behind it, and once they are lost they stay so.
But an object that has no hole where a person annotated it gets none by being moved. It may bend
round a piece of the background, as an arm on a hip does; that piece then moves otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import cv2
import numpy as np
from torch import Tensor

from vos.propagation.motion_cue import MotionCue


def solid_objects(annotations: Sequence[Tensor], grid: tuple[int, int]) -> list[int]:
    """Return the channels of the objects that have no hole in any of the annotated frames.

    Args:
        annotations: (N, K + 1) labels of each annotated frame, background first.
    """
    channels = range(1, annotations[0].shape[1]) if annotations else ()
    return [c for c in channels if not any(holes(each[:, c], grid) for each in annotations)]


def holes(plane: Tensor, grid: tuple[int, int]) -> list[np.ndarray]:
    """Return the tokens (n,) of each part of the frame that an object encloses.

    Args:
        plane: (N,) labels of the object, which is where they are above a half.
    """
    outside = (plane <= 0.5).cpu().numpy().reshape(grid).astype(np.uint8)
    if outside.all():
        return []
    count, parts = cv2.connectedComponents(outside, connectivity=4)
    edges = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    enclosed = np.setdiff1d(np.arange(1, count), edges)
    return [np.flatnonzero(parts == part) for part in enclosed]


def fill_holes(
    labels: Tensor, solid: Collection[int], motion: Tensor, cue: MotionCue, grid: tuple[int, int]
) -> Tensor:
    """Return labels without the holes of solid objects that move as these do.

    Args:
        labels: (N, K + 1), background first.
        solid: channels of the objects that have no holes.
        motion: (N, 2) of the frame, rows and columns in tokens.
        cue: how the objects moved in the frame before.

    Returns:
        (N, K + 1): in the holes, what the background had is the object's. ``labels`` stay.
    """
    filled = labels
    for channel in solid:
        for tokens in holes(labels[:, channel], grid):
            if float(cue.foretell(motion[tokens])[:, channel].mean()) > 0.5:
                filled = filled.clone() if filled is labels else filled
                filled[tokens, channel] += filled[tokens, 0]
                filled[tokens, 0] = 0
    return filled
