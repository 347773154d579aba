"""Scale-MNIST and scale-CIFAR-10: small labelled images, each zoomed out by a random factor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vos.datasets.labelled import open_labelled
from vos.errors import UsageError, near_names

FILES = {"mnist": "mnist.npz", "cifar": "cifar10-20k.zip"}
SMALLEST = 0.3  # images shrink to at least this share of their side


@dataclass(frozen=True)
class ImageTensors:
    """Images (N, 3, S, S), float RGB in [0, 1], and labels (N,) from 0."""

    images: Tensor
    labels: Tensor


def load_images(task: str, folder: Path, split: str, count: int) -> ImageTensors:
    """The first ``count`` images of a split, the classes in turn.

    Args:
        task: ``mnist`` or ``cifar``; the file of each is in :data:`FILES`.
        folder: where these files are.
        split: ``train`` or ``test``.
        count: images wanted; all if there are fewer.

    Raises:
        UsageError: another task.
        MissingError: the file is not there.
        VosError: it cannot be read.
    """
    if task not in FILES:
        raise UsageError(f"unknown task {task!r}: {near_names(task, FILES)}")
    dataset = open_labelled(folder / FILES[task])
    part = dataset.train if split == "train" else dataset.test
    chosen = _classes_in_turn(part.labels)[:count]
    pixels = np.stack([part.read(int(index)) for index in chosen])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return ImageTensors(images.contiguous(), torch.from_numpy(part.labels[chosen]))


def _classes_in_turn(labels: np.ndarray) -> np.ndarray:
    """Indices: the first of each class, the second of each class, and so on."""
    turn = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        turn[own] = np.arange(len(own))
    return np.lexsort((labels, turn))


def zoomed_out(images: Tensor, factors: Tensor) -> Tensor:
    """Shrink each image about its centre and fill the rest with black.

    Args:
        images: (N, 3, S, S).
        factors: (N,) from 1; the image takes ``1 / factor`` of the side.

    Returns:
        (N, 3, S, S); blurred before sampling as much as shrinking asks for.
    """
    side = images.shape[-1]
    shrunk = torch.zeros_like(images)
    inner = (side / factors).round().clamp(min=1).long()
    for size in inner.unique().tolist():
        chosen = inner == size
        small = functional.interpolate(
            images[chosen], (size, size), mode="bilinear", antialias=True, align_corners=False
        )
        start = (side - size) // 2
        shrunk[chosen, :, start : start + size, start : start + size] = small
    return shrunk


def random_zooms(count: int, generator: torch.Generator) -> Tensor:
    """Factors (count,) of :func:`zoomed_out`: the side is a uniform share in [0.3, 1]."""
    return 1 / (SMALLEST + (1 - SMALLEST) * torch.rand(count, generator=generator))


def scale_task(images: ImageTensors, seed: int) -> ImageTensors:
    """Each image zoomed out at random, once and for all: what is tested on."""
    zooms = random_zooms(len(images.labels), torch.Generator().manual_seed(seed))
    return ImageTensors(zoomed_out(images.images, zooms), images.labels)
