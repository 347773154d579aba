"""SAM 2 (Ravi et al. 2024), its video predictor, from frames to masks on the CPU.

Weights are random: the time does not depend on them, the masks do.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from common import Clip
from PIL import Image


def main(folder: str, checkout: str, size: str = "t") -> None:
    clip = Clip(Path(folder))
    sys.path.insert(0, checkout)
    from sam2.build_sam import build_sam2_video_predictor

    predictor = build_sam2_video_predictor(f"configs/sam2.1/sam2.1_hiera_{size}.yaml", device="cpu")
    clip.begin()

    start = time.perf_counter()
    first = np.array(Image.open(clip.masks / "00000.png"))
    with torch.inference_mode():
        state = predictor.init_state(str(clip.frames))
        for each in np.unique(first[first > 0]):
            predictor.add_new_mask(state, frame_idx=0, obj_id=int(each), mask=first == each)
        for index, ids, scores in predictor.propagate_in_video(state):
            best, which = scores[:, 0].max(0)
            mask = torch.where(best > 0, torch.tensor(ids)[which], 0).numpy().astype(np.uint8)
            Image.fromarray(mask).save(clip.out("sam2") / f"{index:05d}.png")
    clip.report("sam2", {"total": time.perf_counter() - start})


if __name__ == "__main__":
    main(*sys.argv[1:4])
