"""Optimisers, the learning rate over a run, and the average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from vos.training.config import OptimiserConfig


def make_optimiser(
    config: OptimiserConfig, backbone: nn.Module, own: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """Return AdamW, RMSprop or SGD, with ``own`` at a rate of its own.

    Weight decay acts on matrices of the backbone only, never on norms and biases.
    """
    trained = [parameter for parameter in backbone.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        {"params": list(own), "weight_decay": 0.0, "lr": config.radius_rate},
    ]
    groups = [group for group in groups if group["params"]]
    for group in groups:
        group["base_rate"] = group.get("lr", config.rate)
    if config.name == "adamw":
        return torch.optim.AdamW(groups, lr=config.rate)
    if config.name == "rmsprop":
        return torch.optim.RMSprop(groups, lr=config.rate, momentum=config.momentum)
    return torch.optim.SGD(groups, lr=config.rate, momentum=config.momentum)


def rate_factor(config: OptimiserConfig, step: int, done: float) -> float:
    """Return the share of the base rate at ``step`` when ``done`` (0 to 1) of the run is over."""
    warm = min(1.0, (step + 1) / config.warm_up) if config.warm_up else 1.0
    if config.schedule == "constant":
        return warm
    if config.schedule == "steps":
        return warm * 0.1 ** sum(done >= drop for drop in config.drops)
    return warm * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def set_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set every group to ``factor`` times its base rate."""
    for group in optimiser.param_groups:
        group["lr"] = group["base_rate"] * factor


def average_of(module: nn.Module, decay: float) -> AveragedModel:
    """Return an exponential moving average of a module's parameters and buffers.

    The decay grows from 0 to its final value, so that early weights are soon forgotten; whole
    numbers, such as counts of batches, follow as they are.
    """

    def move(average: Tensor, newest: Tensor, updates: Tensor | int) -> Tensor:
        if not average.is_floating_point():
            return newest
        step = int(updates) - 1
        share = 1 - min(decay, (1 + step) / (10 + step))
        return average.lerp(newest.to(average.dtype), share)

    average = AveragedModel(module, avg_fn=move, use_buffers=True)
    return resume_average(average, 0)


def resume_average(average: AveragedModel, step: int) -> AveragedModel:
    """Return ``average`` as it is after ``step`` steps: the weights at the start count as one."""
    average.n_averaged.fill_(step + 1)
    return average
