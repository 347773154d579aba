"""J and F of one object in one frame, written to be read beside the formulas, not to be fast.

Masks are ``(H, W)`` arrays that are true (non-zero) inside the object.
"""

from __future__ import annotations

import numpy as np

from vos.metrics.tolerance import TOLERANCE, boundary_radius


def region_similarity(
    truth: np.ndarray, prediction: np.ndarray, void: np.ndarray | None = None
) -> float:
    """Region similarity J: intersection over union of two masks.

    Args:
        truth: (H, W) mask.
        prediction: (H, W) mask.
        void: (H, W) mask of pixels that count for nothing.

    Returns:
        J in [0, 1]; 1 if both masks are empty.
    """
    truth, prediction = _without_void(truth, prediction, void)
    union = np.count_nonzero(truth | prediction)
    return np.count_nonzero(truth & prediction) / union if union else 1.0


def boundary_accuracy(
    truth: np.ndarray,
    prediction: np.ndarray,
    void: np.ndarray | None = None,
    tolerance: float = TOLERANCE,
) -> float:
    """Boundary accuracy F: harmonic mean of the precision and recall of boundary pixels.

    A boundary pixel of one mask is matched if a boundary pixel of the other lies within
    ``boundary_radius``.

    Args:
        truth: (H, W) mask.
        prediction: (H, W) mask.
        void: (H, W) mask of pixels that belong to neither mask.
        tolerance: share of the image diagonal.

    Returns:
        F in [0, 1]; 1 if neither mask has a boundary, 0 if one of them has none.
    """
    truth, prediction = _without_void(truth, prediction, void)
    truth_edge, prediction_edge = boundary(truth), boundary(prediction)
    if not truth_edge.any() or not prediction_edge.any():
        return float(truth_edge.any() == prediction_edge.any())
    height, width = truth.shape
    radius = boundary_radius(height, width, tolerance)
    precision = np.mean(dilate(truth_edge, radius)[prediction_edge])
    recall = np.mean(dilate(prediction_edge, radius)[truth_edge])
    if precision + recall == 0:
        return 0.0
    return float(2 * precision * recall / (precision + recall))


def boundary(mask: np.ndarray) -> np.ndarray:
    """Boundary pixels of a mask, one pixel wide: ``(H, W)`` booleans.

    A pixel is on the boundary if its right, lower or lower right neighbour differs from it. On
    the last row and column the neighbours outside the image count as equal.
    """
    padded = np.pad(mask.astype(bool), ((0, 1), (0, 1)), mode="edge")
    here = padded[:-1, :-1]
    return (here != padded[:-1, 1:]) | (here != padded[1:, :-1]) | (here != padded[1:, 1:])


def dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    """Every pixel at most ``radius`` (Euclidean, in pixels) from a true pixel of an (H, W) mask."""
    height, width = mask.shape
    padded = np.pad(mask.astype(bool), radius)
    grown = np.zeros((height, width), bool)
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            if down * down + right * right <= radius * radius:
                top, left = radius + down, radius + right
                grown |= padded[top : top + height, left : left + width]
    return grown


def _without_void(
    truth: np.ndarray, prediction: np.ndarray, void: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    truth, prediction = truth.astype(bool), prediction.astype(bool)
    if void is None:
        return truth, prediction
    counted = ~void.astype(bool)
    return truth & counted, prediction & counted
