"""Data sets: DAVIS and YouTube-VOS folders, the sample, downloads and checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vos.datasets.davis import open_davis
from vos.datasets.registry import open_dataset
from vos.datasets.sequence import Dataset, Sequence
from vos.lazy import lazy_names

__all__ = ["Dataset", "Sequence", "open_dataset", "open_davis"]

if not TYPE_CHECKING:
    __getattr__ = lazy_names("vos.datasets")
