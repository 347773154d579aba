"""What networks learned: equivariance errors and linear probes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vos.lazy import lazy_names

if not TYPE_CHECKING:
    __getattr__ = lazy_names("vos.analysis")
