"""Which implementation of the propagation step runs: one narrow door, several bodies."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from vos.errors import UsageError, near_names
from vos.machine import triton_works
from vos.propagation.config import PropagationConfig
from vos.propagation.context import Source

ENGINES = ("auto", "reference", "cpu", "triton", "tiled")


class Engine(Protocol):
    """A module with these two functions; `reference.py` and `labels.py` say what they mean."""

    def propagate_labels(
        self,
        query: Tensor,
        sources: Sequence[Source],
        grid: tuple[int, int],
        config: PropagationConfig,
    ) -> Tensor:
        """Return (N, K + 1) soft labels of a frame."""

    def labels_to_mask(
        self,
        labels: Tensor,
        ids: Sequence[int],
        grid: tuple[int, int],
        size: tuple[int, int],
        seen_size: tuple[int, int],
        config: PropagationConfig,
    ) -> np.ndarray:
        """Return (H, W) uint8 ids."""


def engine_for(device: torch.device, name: str = "auto") -> Engine:
    """Return the implementation for tensors on ``device``.

    ``auto`` takes compiled loops on the processor, a fused kernel on CUDA devices where Triton
    works, and PyTorch by tiles elsewhere (MPS).

    Raises:
        UsageError: there is no engine of that name, or not for this device.
    """
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}: {near_names(name, ENGINES)}")
    if name == "triton" and not _can_run_triton(device):
        raise UsageError(
            f"the engine triton is for CUDA devices where Triton works, no {device.type} here: "
            "leave it out, and the best one there is taken"
        )
    if name == "cpu" and device.type != "cpu":
        raise UsageError(
            f"the engine cpu is for processors, not for {device.type}: leave it out, and the best "
            "one there is taken"
        )
    if name == "cpu" or (name == "auto" and device.type == "cpu"):
        from vos.propagation.engines import cpu

        return cpu
    if name == "triton" or (name == "auto" and device.type == "cuda" and triton_works()):
        from vos.propagation.engines import triton

        return triton
    if name == "reference":
        from vos.propagation.engines import reference

        return reference
    from vos.propagation.engines import tiled

    return tiled


def _can_run_triton(device: torch.device) -> bool:
    if os.environ.get("TRITON_INTERPRET") == "1":  # slowly, on any device
        return importlib.util.find_spec("triton") is not None
    return device.type == "cuda" and triton_works()
