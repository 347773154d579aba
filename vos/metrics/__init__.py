"""Scores of masks against the truth: arrays in, numbers out.

Region similarity J and boundary accuracy F of the DAVIS benchmark, and how they are summed up
over time. ``score_frame`` is what to call; ``vos.metrics.reference`` holds the same measures
written plainly, which it is tested against.

Source: Perazzi et al., "A benchmark dataset and evaluation methodology for video object
segmentation", CVPR 2016, and Pont-Tuset et al., "The 2017 DAVIS challenge on video object
segmentation", arXiv:1704.00675. Where the papers leave a choice, the choice is the one of the
official evaluation code (davis2017-evaluation, semi-supervised task).
"""

from vos.metrics.frame import score_frame
from vos.metrics.reference import boundary_accuracy, region_similarity
from vos.metrics.statistics import Statistics, average, summarise
from vos.metrics.tolerance import TOLERANCE, boundary_radius

__all__ = [
    "TOLERANCE",
    "Statistics",
    "average",
    "boundary_accuracy",
    "boundary_radius",
    "region_similarity",
    "score_frame",
    "summarise",
]
