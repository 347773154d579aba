"""What a backbone costs: multiply-adds of one forward pass, counted and not timed."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from vos.backbones.base import Backbone

SIZE_480P = (480, 854)


def multiply_adds(backbone: Backbone, size: tuple[int, int] = SIZE_480P) -> int:
    """Multiply-adds of convolutions and matrix products for one frame.

    Shapes are enough: nothing is computed, so a network on the meta device does as well.

    Args:
        backbone: is not changed.
        size: (height, width) of the frame.
    """
    network = copy.deepcopy(backbone).to("meta").eval()
    counter = FlopCounterMode(display=False, custom_mapping=_deformable())
    with torch.no_grad(), counter:
        network(torch.empty(1, 3, *size, device="meta"))
    return counter.get_total_flops() // 2


def _deformable() -> dict[Any, Any]:
    """How to count deformable convolutions, which the counter does not know."""
    import torchvision.ops  # noqa: F401 (registers the operator)

    def count(images: Any, weight: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
        batch, _, rows, columns = out_shape
        outputs, inputs, height, width = weight
        return 2 * batch * rows * columns * outputs * inputs * height * width

    return {torch.ops.torchvision.deform_conv2d: count}
