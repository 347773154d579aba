"""Objectives: one loss a file, features in, numbers out; knows no backbone and no data."""

from __future__ import annotations

from vos.objectives.icon import (
    Sphere,
    cycle_accuracy,
    inverse_consistency,
    inverse_consistency_dense,
    inverse_consistency_loss,
    tokens,
)
from vos.objectives.random_walk import random_walk, random_walk_loss

__all__ = [
    "Sphere",
    "cycle_accuracy",
    "inverse_consistency",
    "inverse_consistency_dense",
    "inverse_consistency_loss",
    "random_walk",
    "random_walk_loss",
    "tokens",
]
