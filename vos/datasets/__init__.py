"""Data sets: DAVIS and YouTube-VOS folders, the sample, downloads and checks."""

from __future__ import annotations

from vos.datasets.davis import open_davis
from vos.datasets.registry import open_dataset
from vos.datasets.sequence import Dataset, Sequence

__all__ = ["Dataset", "Sequence", "open_dataset", "open_davis"]
