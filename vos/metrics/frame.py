"""J and F of all objects of a frame at once, from id masks.

The same figures as ``vos.metrics.reference``, some hundred times faster: each object is cut out
with its bounding box and handled as bits (``vos.metrics.bits``); masks are never expanded to one
plane an object.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vos.metrics import bits
from vos.metrics.tolerance import TOLERANCE, boundary_radius

VOID = 255


def score_frame(
    truth: np.ndarray,
    prediction: np.ndarray,
    object_ids: Sequence[int],
    tolerance: float = TOLERANCE,
) -> tuple[np.ndarray, np.ndarray]:
    """Region similarity J and boundary accuracy F of every object of a frame.

    Args:
        truth: (H, W) uint8 ids; 255 is void: these pixels count for nothing.
        prediction: (H, W) uint8 ids.
        object_ids: the K ids to score, each in 1 to 254. Other ids count as background.
        tolerance: share of the image diagonal within which boundaries match.

    Returns:
        J and F, each (K,) float64 in [0, 1]. An object in neither mask scores 1.

    Raises:
        ValueError: the masks differ in size.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth is {truth.shape}, prediction {prediction.shape}")
    height, width = truth.shape
    radius = boundary_radius(height, width, tolerance)
    if truth.max() == VOID:
        void = truth == VOID
        truth, prediction = np.where(void, 0, truth), np.where(void, 0, prediction)
    truth, prediction = _crop(truth, prediction, truth | prediction)
    scores = [_score_object(truth, prediction, each, radius) for each in object_ids]
    regions, boundaries = np.array(scores, np.float64).reshape(-1, 2).T
    return regions, boundaries


def _score_object(
    truth: np.ndarray, prediction: np.ndarray, object_id: int, radius: int
) -> tuple[float, float]:
    """J and F of one object."""
    either = (truth == object_id) | (prediction == object_id)
    truth, prediction = _crop(truth, prediction, either.view(np.uint8))
    if truth.size == 0:
        return 1.0, 1.0
    # One more row and column for the neighbours below and to the right, and a margin for shifts.
    height, width = truth.shape
    grid = bits.Grid(height, width, margin=radius + 1)
    truth_image, prediction_image = (
        bits.pack(_with_margin(mask, grid) == object_id) for mask in (truth, prediction)
    )
    inside = grid.inside()
    union = ((truth_image | prediction_image) & inside).bit_count()
    if union == 0:
        return 1.0, 1.0
    region = (truth_image & prediction_image & inside).bit_count() / union

    truth_edge = bits.boundary(truth_image, grid, inside)
    prediction_edge = bits.boundary(prediction_image, grid, inside)
    if not truth_edge or not prediction_edge:
        return region, float(truth_edge == prediction_edge)
    matched = (prediction_edge & bits.dilate(truth_edge, grid, radius)).bit_count()
    precision = matched / prediction_edge.bit_count()
    matched = (truth_edge & bits.dilate(prediction_edge, grid, radius)).bit_count()
    recall = matched / truth_edge.bit_count()
    if precision + recall == 0:
        return region, 0.0
    return region, 2 * precision * recall / (precision + recall)


def _crop(
    truth: np.ndarray, prediction: np.ndarray, content: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both masks within the bounding box of ``content`` and one pixel more on each side."""
    left, top, width, height = cv2.boundingRect(content)
    if width == 0:
        return truth[:0, :0], prediction[:0, :0]
    rows = slice(max(top - 1, 0), top + height + 1)
    columns = slice(max(left - 1, 0), left + width + 1)
    return truth[rows, columns], prediction[rows, columns]


def _with_margin(mask: np.ndarray, grid: bits.Grid) -> np.ndarray:
    """Mask of ids laid out on ``grid``, its last row and column repeated once, background after."""
    laid_out = np.zeros((grid.height + 1, grid.stride), np.uint8)
    laid_out[:-1, : grid.width] = mask
    laid_out[-1, : grid.width] = mask[-1]
    laid_out[:, grid.width] = laid_out[:, grid.width - 1]
    return laid_out
