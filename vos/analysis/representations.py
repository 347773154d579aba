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
from vos.backbones.families.cmc import Multiview
from vos.datasets.labelled import LabelledImages
from vos.errors import UsageError, near_names
from vos.machine import processors
from vos.progress import progress

Represent = Callable[[Tensor], dict[str, Tensor]]  # (B, 3, H, W) in [0, 1] -> (B, d) by name


def representation_names(backbone: Backbone) -> list[str]:
    """Return the names of what can be read off a backbone, see `represent`."""
    if not isinstance(backbone, Multiview):
        return ["map"]
    numbers = range(1, len(backbone.views) + 1)
    return [*(f"z{n}" for n in numbers), "z", *(f"map{n}" for n in numbers), "map"]


def checked_names(backbone: Backbone, names: Sequence[str] | None) -> list[str]:
    """Check ``names``; for None return those of z1, z2, z and map that there are.

    Raises:
        UsageError: an unknown name.
    """
    known = representation_names(backbone)
    if names is None:
        return [name for name in ("z1", "z2", "z", "map") if name in known]
    for name in names:
        if name not in known:
            raise UsageError(f"this model has no features {name!r}: {near_names(name, known)}")
    return list(names)


def represent(backbone: Backbone, *, pool: int = 2) -> Represent:
    """Return a function from images to all representations of a backbone.

    ``map`` is the feature map averaged to ``pool x pool`` cells, side by side. A multiview
    backbone also has ``map1``, ``map2``, ... of each view, ``z1``, ``z2``, ... (the vectors that
    its training compares) and ``z``, all of these side by side.
    """

    def pooled(features: Tensor) -> Tensor:
        return functional.adaptive_avg_pool2d(features, pool).flatten(1)

    def of_views(images: Tensor) -> dict[str, Tensor]:
        assert isinstance(backbone, Multiview)
        seen = [backbone.look(index, images) for index in range(len(backbone.views))]
        maps, vectors = [pooled(features) for features, _ in seen], [z for _, z in seen]
        found = {"z": torch.cat(vectors, dim=1), "map": torch.cat(maps, dim=1)}
        for number, (features, z) in enumerate(zip(maps, vectors, strict=True), start=1):
            found[f"map{number}"], found[f"z{number}"] = features, z
        return found

    if isinstance(backbone, Multiview):
        return of_views
    return lambda images: {"map": pooled(backbone(images))}


@torch.inference_mode()
def extract(
    images: LabelledImages,
    look: Represent,
    names: Sequence[str],
    *,
    size: int | None = None,
    batch: int = 250,
    device: torch.device | str = "cpu",
    description: str = "features",
) -> dict[str, Tensor]:
    """Extract the features of every image: name -> ``(N, d)`` float32 on the device.

    Args:
        images: of one size, unless ``size`` is given.
        look: see `represent`.
        names: which of its results to keep.
        size: shorter side that images are resized to, and side of the square in their middle
            that is seen; None takes them as they are.
        batch: images at a time.

    Raises:
        UsageError: images of several sizes without ``size``.
    """
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    bar = progress(total=len(images), description=description, unit="image")
    for pixels in _batches(images, size, batch):
        batched = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 255
        found = look(batched)
        for name in names:
            parts[name].append(found[name].float())
        bar.update(len(pixels))
    bar.close()
    return {name: torch.cat(part).clone() for name, part in parts.items()}


def _batches(images: LabelledImages, size: int | None, batch: int) -> Iterator[np.ndarray]:
    """Yield (B, H, W, 3) uint8, decoded in threads."""
    with ThreadPoolExecutor(processors()) as pool:
        for first in range(0, len(images), batch):
            indices = range(first, min(first + batch, len(images)))
            read = list(pool.map(lambda index: _square(images.read(index), size), indices))
            if len({image.shape for image in read}) > 1:
                raise UsageError("the images differ in size: choose one with `size`")
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
