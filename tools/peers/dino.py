"""DINO's own eval_video_segmentation.py (Caron et al. 2021) on features that are given.

Reading, propagation, upsampling and writing run as they are, on the CPU instead of CUDA; the
vision transformer hands out the given features. Reading frames, which the script does for the
transformer, is timed apart and no part of the total: features cost nothing here.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from common import Case


def main(folder: str, checkout: str) -> None:
    case = Case(Path(folder))
    sys.path.insert(0, checkout)
    torch.Tensor.cuda = lambda tensor, *_, **__: tensor  # type: ignore[method-assign]
    import eval_video_segmentation as peer

    case.begin()

    stride = case.settings["stride"]
    args = SimpleNamespace(
        output_dir=str(case.folder), n_last_frames=case.settings["recent"],
        size_mask_neighborhood=12, topk=5, patch_size=stride,
    )  # fmt: skip
    frames = peer.read_frame_list(str(case.frames))
    first, truth = peer.read_seg(str(case.masks / "00000.png"), stride)
    peer.args = args  # the script's own functions look for it there
    neighbourhood = peer.restrict_neighborhood(*case.features.shape[2:])  # once, so not counted
    peer.restrict_neighborhood = lambda *_: neighbourhood
    read_frame, spent = peer.read_frame, {"reading": 0.0}

    def read_by_the_clock(path: str) -> Any:
        began = time.perf_counter()
        found = read_frame(path)
        spent["reading"] += time.perf_counter() - began
        return found

    peer.read_frame = read_by_the_clock
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)

    start = time.perf_counter()
    with torch.no_grad():
        peer.eval_video_tracking_davis(
            args, Given(case.features, stride), frames, "dino", first, truth, palette
        )
    spent["total"] = time.perf_counter() - start - spent["reading"]
    case.report("dino", spent)


class Given:
    """In place of the transformer: the features of one frame after the other."""

    def __init__(self, features: Iterable[np.ndarray], patch_size: int) -> None:
        self.features = iter(features)
        self.patch_embed = SimpleNamespace(patch_size=patch_size)

    def get_intermediate_layers(self, image: torch.Tensor, n: int) -> list[torch.Tensor]:
        """``[(1, 1 + h w, C)]``: a class token, which the script drops, and the patches."""
        features = torch.from_numpy(next(self.features))
        tokens = features.flatten(1).T
        return [torch.cat([tokens[:1], tokens])[None]]


if __name__ == "__main__":
    main(*sys.argv[1:3])
