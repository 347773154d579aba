"""The random numbers of a step, the same on every process, and what all objectives draw."""

from __future__ import annotations

from dataclasses import asdict

import torch
from torch import Tensor

from vos.training.config import TrainConfig
from vos.training.photometric import apply_photometric, draw_photometric


def step_generator(config: TrainConfig, step: int) -> torch.Generator:
    """Return the source of the random numbers of a step, decided by it and the seed alone."""
    return torch.Generator().manual_seed(config.seed * 1_000_003 + step)


def changed_images(
    config: TrainConfig, crops: Tensor, generator: torch.Generator, numbers: range
) -> Tensor:
    """Return crops (frames, B, 3, H, W) uint8 in [0, 1], each with a photometric draw of its own.

    Args:
        generator: of the step; draws are made for the whole batch.
        numbers: places of the crops in it.
    """
    images = crops.float() / 255
    photometric = config.augmentation.photometric
    if not any(asdict(photometric).values()):
        return images
    part = slice(numbers.start, numbers.stop)
    draws = (draw_photometric(photometric, config.batch, generator)[part] for _ in crops)
    return torch.stack(
        [apply_photometric(images[i], each.to(crops.device)) for i, each in enumerate(draws)]
    )
