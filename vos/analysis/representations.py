"""One vector an image from a backbone: its pooled map, or the z of views."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vos.backbones import Backbone
from vos.backbones.cmc import Multiview
from vos.datasets.labelled import LabelledImages
from vos.errors import UsageError, near_names
from vos.machine import processors
from vos.progress import progress

Represent = Callable[[Tensor], Tensor]  # (B, 3, H, W) in [0, 1] -> (B, d)


def representations(backbone: Backbone, *, pool: int = 2) -> dict[str, Represent]:
    """What can be read off a backbone, by name.

    ``map`` is the feature map averaged to ``pool x pool`` cells, side by side. A multiview
    backbone also has ``map1``, ``map2``, ... of each view, ``z1``, ``z2``, ... (the vectors that
    its training compares) and ``z``, all of these side by side.
    """

    def pooled(features: Tensor) -> Tensor:
        return functional.adaptive_avg_pool2d(features, pool).flatten(1)

    found: dict[str, Represent] = {"map": lambda images: pooled(backbone(images))}
    if not isinstance(backbone, Multiview):
        return found
    count = len(backbone.views)
    for index in range(count):
        found[f"map{index + 1}"] = lambda images, index=index: pooled(  # type: ignore[misc]
            backbone.maps(index, images, backbone.layer)
        )
        found[f"z{index + 1}"] = lambda images, index=index: backbone.embed(  # type: ignore[misc]
            index, images
        )
    found["z"] = lambda images: torch.cat([backbone.embed(i, images) for i in range(count)], dim=1)
    return found


def choose(found: dict[str, Represent], names: Sequence[str] | None) -> dict[str, Represent]:
    """Those called ``names``; None for those that are not parts of others.

    Raises:
        UsageError: an unknown name.
    """
    if names is None:
        return {name: found[name] for name in ("z1", "z2", "z", "map") if name in found}
    for name in names:
        if name not in found:
            raise UsageError(f"this model has no features {name!r}: {near_names(name, found)}")
    return {name: found[name] for name in names}


@torch.inference_mode()
def extract(
    images: LabelledImages,
    chosen: dict[str, Represent],
    *,
    size: int | None = None,
    batch: int = 250,
    device: torch.device | str = "cpu",
    description: str = "features",
) -> dict[str, Tensor]:
    """Features of every image: name -> ``(N, d)`` float32 on the device.

    Args:
        images: of one size, unless ``size`` is given.
        chosen: what to compute, see `representations`.
        size: shorter side that images are resized to, and side of the square in their middle
            that is seen; None takes them as they are.
        batch: images at a time.

    Raises:
        UsageError: images of several sizes without ``size``.
    """
    parts: dict[str, list[Tensor]] = {name: [] for name in chosen}
    bar = progress(total=len(images), description=description, unit="image")
    for pixels in _batches(images, size, batch):
        batched = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 255
        for name, represent in chosen.items():
            parts[name].append(represent(batched).float())
        bar.update(len(pixels))
    bar.close()
    return {name: torch.cat(part).clone() for name, part in parts.items()}


def _batches(images: LabelledImages, size: int | None, batch: int) -> Iterator[np.ndarray]:
    """(B, H, W, 3) uint8, decoded in threads."""
    with ThreadPoolExecutor(processors()) as pool:
        for first in range(0, len(images), batch):
            indices = range(first, min(first + batch, len(images)))
            read = list(pool.map(lambda index: _square(images.read(index), size), indices))
            if len({image.shape for image in read}) > 1:
                raise UsageError("the images differ in size: choose one with --size")
            yield np.stack(read)


def _square(image: np.ndarray, size: int | None) -> np.ndarray:
    if size is None:
        return image
    height, width = image.shape[:2]
    scale = size / min(height, width)
    if scale != 1:
        shape = (max(size, round(width * scale)), max(size, round(height * scale)))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        image = cv2.resize(image, shape, interpolation=method)
    top, left = (image.shape[0] - size) // 2, (image.shape[1] - size) // 2
    return image[top : top + size, left : left + size]
