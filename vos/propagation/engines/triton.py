"""The propagation step on CUDA devices: one fused Triton kernel per frame.

A program labels a tile of tokens. It meets the union of their windows source by source, then what
the windows add that the flow leads to, a few places at a time: products, window, the k best so far
with their places, and in the end the vote, all on the chip. Nothing of size N x N is ever stored.
Features are multiplied as float16 and added up in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import triton
from torch import Tensor

from vos.propagation.config import PropagationConfig
from vos.propagation.context import ContextFrame, Source
from vos.propagation.engines import triton_kernels as kernels
from vos.propagation.labels import labels_to_mask
from vos.propagation.window import half_widths

__all__ = ["labels_to_mask", "propagate_labels"]

SIDE = 4  # tokens a side of a tile: 16 rows are the least that a matrix unit takes
PLACES = 64
CHANNELS = 64


def propagate_labels(
    query: Tensor, sources: Sequence[Source], grid: tuple[int, int], config: PropagationConfig
) -> Tensor:
    """Soft labels (N, K + 1) of a frame; see `reference.propagate_labels`."""
    features = query.half()
    keys = [_half(source.frame) for source in sources]
    own = torch.arange(len(query), dtype=torch.int32, device=query.device)
    leads = [own if source.leads is None else source.leads.int() for source in sources]
    labels = [source.frame.labels.float().contiguous() for source in sources]
    halves = half_widths(config.window, config.radius, grid)
    classes = labels[0].shape[1]
    result = torch.empty((len(query), classes), dtype=torch.float32, device=query.device)
    tiles = triton.cdiv(grid[0], SIDE) * triton.cdiv(grid[1], SIDE)

    def on_device(values: Any, dtype: torch.dtype) -> Tensor:
        return torch.as_tensor(np.asarray(values), dtype=dtype).to(query.device, non_blocking=True)

    with torch.cuda.device_of(query):
        kernels.propagate[(tiles,)](
            features,
            on_device([key.data_ptr() for key in keys], torch.int64),
            on_device([label.data_ptr() for label in labels], torch.int64),
            on_device([source.windowed for source in sources], torch.int32),
            on_device([source.count for source in sources], torch.int32),
            on_device([lead.data_ptr() for lead in leads], torch.int64),
            on_device(halves, torch.int32),
            result,
            len(sources),
            *grid,
            len(halves) // 2,
            int(halves.max()),
            query.shape[1],
            classes,
            config.distance_penalty,
            config.temperature,
            NEIGHBOURS=config.neighbours,
            SLOTS=triton.next_power_of_2(config.neighbours),
            SIDE=SIDE,
            PLACES=PLACES,
            CHANNELS=CHANNELS,
            CLASSES=triton.next_power_of_2(classes),
            num_warps=4,
        )
    return result


def _half(frame: ContextFrame) -> Tensor:
    """Return (N, C) float16 features of a context frame, made once."""
    if "half" not in frame.derived:
        frame.derived["half"] = frame.features.half().contiguous()
    return frame.derived["half"]
