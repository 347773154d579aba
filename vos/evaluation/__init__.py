"""Scores of masks on a data set, and the tables and report of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vos.lazy import lazy_names

if not TYPE_CHECKING:
    __getattr__ = lazy_names("vos.evaluation")
