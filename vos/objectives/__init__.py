"""Objectives: one loss a file, features in, numbers out; knows no backbone and no data."""

from __future__ import annotations

from vos.objectives.contrastive import (
    critic,
    critic_in_batch,
    information_bound,
    log_partition,
    nce_loss,
    softmax_loss,
    view_pairs,
)
from vos.objectives.icon import (
    Scale,
    Sphere,
    all_ways_loss,
    cycle_accuracy,
    inverse_consistency,
    inverse_consistency_loss,
    tokens,
)
from vos.objectives.icon_dense import RoundTrip, inverse_consistency_dense
from vos.objectives.memory_bank import MemoryBank
from vos.objectives.prediction import prediction_loss
from vos.objectives.random_walk import random_walk, random_walk_loss

__all__ = [
    "MemoryBank",
    "RoundTrip",
    "Scale",
    "Sphere",
    "all_ways_loss",
    "critic",
    "critic_in_batch",
    "cycle_accuracy",
    "information_bound",
    "inverse_consistency",
    "inverse_consistency_dense",
    "inverse_consistency_loss",
    "log_partition",
    "nce_loss",
    "prediction_loss",
    "random_walk",
    "random_walk_loss",
    "softmax_loss",
    "tokens",
    "view_pairs",
]
