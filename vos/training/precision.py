"""Precisions of a run: what may be chosen, what a device can do, and what stays in float32."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

log = logging.getLogger("vos")

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "bf16-true")


def precision_on(device: torch.device, wanted: str) -> str:
    """Return the precision to train with where ``wanted`` was asked for; a change is logged.

    Processors have no scaled float16, which only pays on a GPU: bfloat16, of the same size and
    with the range of float32, takes its place.
    """
    if wanted == "16-mixed" and device.type == "cpu":
        log.info("precision 16-mixed needs a GPU: training with bf16-mixed on this processor")
        return "bf16-mixed"
    return wanted


def keep_in_float32(module: nn.Module, *, but: str) -> None:
    """Turn every parameter and buffer of at most 16 bits back into float32, in place.

    What a loss holds itself (the radius of its sphere, log Z) is a few numbers that decide it;
    in 16 bits small steps of training would be rounded away.

    Args:
        module: all of it.
        but: name of the child that stays as it is: the network.
    """
    for name, child in module.named_children():
        if name != but:
            child.float()
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        if tensor.is_floating_point():
            tensor.data = tensor.data.float()
