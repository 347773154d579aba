"""Scale-MNIST and scale-CIFAR-10: small labelled images, each zoomed out by a random factor."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from vos.errors import MissingError, UsageError, VosError, near_names

FILES = {"mnist": "mnist.npz", "cifar": "cifar10-20k.zip"}
SMALLEST = 0.3  # images shrink to at least this share of their side


@dataclass(frozen=True)
class LabelledImages:
    """Images (N, 3, S, S), float RGB in [0, 1], and labels (N,) from 0."""

    images: Tensor
    labels: Tensor


def load_images(task: str, folder: Path, split: str, count: int) -> LabelledImages:
    """The first ``count`` images of a split, in an order that mixes the classes.

    Args:
        task: ``mnist`` (``mnist.npz``: train_images, train_labels, ...) or ``cifar``
            (``cifar10-20k.zip``: ``SPLIT/CLASS/NUMBER.jpg`` below a folder).
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
    path = folder / FILES[task]
    if not path.is_file():
        raise MissingError(f"no {path.name} in {folder}: --images names the folder that holds it")
    read = _read_mnist if task == "mnist" else _read_cifar
    try:
        return read(path, split, count)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise VosError(f"{path} cannot be read: {error}") from error


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


def scale_task(images: LabelledImages, seed: int) -> LabelledImages:
    """Each image zoomed out so that its side is a uniform share in [0.3, 1] of what it was."""
    generator = torch.Generator().manual_seed(seed)
    shares = SMALLEST + (1 - SMALLEST) * torch.rand(len(images.labels), generator=generator)
    return LabelledImages(zoomed_out(images.images, 1 / shares), images.labels)


def _read_mnist(path: Path, split: str, count: int) -> LabelledImages:
    with np.load(path, allow_pickle=False) as arrays:
        pixels = arrays[f"{split}_images"][:count]
        labels = arrays[f"{split}_labels"][:count]
    grey = torch.from_numpy(pixels).float().div(255)[:, None]
    return LabelledImages(grey.expand(-1, 3, -1, -1).clone(), torch.from_numpy(labels).long())


def _read_cifar(path: Path, split: str, count: int) -> LabelledImages:
    with zipfile.ZipFile(path) as archive:
        by_class: dict[str, list[str]] = {}
        for name in sorted(archive.namelist()):
            parts = Path(name).parts
            if len(parts) >= 3 and parts[-3] == split and name.endswith(".jpg"):
                by_class.setdefault(parts[-2], []).append(name)
        if not by_class:
            raise ValueError(f"it holds no {split}/CLASS/NUMBER.jpg")
        labels = {name: index for index, name in enumerate(sorted(by_class))}
        chosen = list(_in_turn(by_class, labels))[:count]
        images = [
            np.array(Image.open(io.BytesIO(archive.read(n))).convert("RGB")) for n, _ in chosen
        ]
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div(255)
    return LabelledImages(pixels, torch.tensor([label for _, label in chosen]))


def _in_turn(by_class: dict[str, list[str]], labels: dict[str, int]) -> Iterator[tuple[str, int]]:
    """One image of each class, then the next of each, as long as all have one."""
    for row in zip(*(by_class[name] for name in labels), strict=False):
        yield from zip(row, labels.values(), strict=True)
