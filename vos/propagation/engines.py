"""Which implementation of the propagation step runs: one narrow function, several bodies."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vos.errors import UsageError, near_names
from vos.propagation import reference
from vos.propagation.config import PropagationConfig
from vos.propagation.context import Source

Engine = Callable[[Tensor, Sequence[Source], tuple[int, int], PropagationConfig], Tensor]

ENGINES = ("auto", "reference", "cpu")


def engine_for(device: torch.device, name: str = "auto") -> Engine:
    """The propagation step for tensors on ``device``.

    Raises:
        UsageError: there is no engine of that name.
    """
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}: {near_names(name, ENGINES)}")
    if name == "cpu" or (name == "auto" and device.type == "cpu"):
        from vos.propagation import cpu

        return cpu.propagate_labels
    return reference.propagate_labels
