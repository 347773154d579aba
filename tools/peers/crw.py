"""CRW's own test.py ("videowalk", Jabri et al. 2020) on features that are given.

Its data set, affinity, propagation and upsampling run as they are; the encoder hands out the given
features, and the pictures for people (blends and heat maps) are left out of the time.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import torch
from common import Case, stand_in


def main(folder: str, checkout: str) -> None:
    case = Case(Path(folder))
    sys.path.insert(0, str(Path(checkout) / "code"))
    stand_in("visdom", "wandb", "skimage", "sklearn", "sklearn.decomposition", "kornia", "imageio")
    stand_in("kornia.augmentation", "skimage.color")
    import test as peer
    from data.vos import VOSDataset
    from utils import test_utils

    recent = case.settings["recent"]
    stride = case.settings["stride"]
    file_list = case.folder / "list.txt"
    file_list.write_text(f"{case.frames} {case.masks}\n")
    args = SimpleNamespace(
        filelist=str(file_list), imgSize=-1, videoLen=recent, mapScale=np.array([stride, stride]),
        texture=False, round=False, use_lab=False, device="cpu", no_l2=False, pca_vis=False,
        long_mem=[0], radius=12, temperature=0.05, topk=10, norm_mask=False, visdom=False,
        save_path=str(case.out("crw")), workers=0,
    )  # fmt: skip
    spent = {"masks": 0.0}

    def write_mask(
        prediction: np.ndarray, colours: torch.Tensor, image: np.ndarray, prefix: str
    ) -> tuple[None, None, None]:
        """The part of ``dump_predictions`` that makes the mask."""
        start = time.perf_counter()
        large = cv2.resize(prediction, image.shape[:2][::-1])
        mask = np.array(colours, dtype=np.int32)[np.argmax(large, axis=-1)]
        index = int(Path(prefix).name.split("_")[1])
        cv2.imwrite(str(case.out("crw") / f"{index:05d}.png"), np.uint8(mask[..., 0]))
        spent["masks"] += time.perf_counter() - start
        return None, None, None

    test_utils.dump_predictions = write_mask

    sample = next(iter(torch.utils.data.DataLoader(VOSDataset(args), batch_size=1)))
    padded = np.concatenate([np.repeat(case.features[:1], recent, 0), case.features[:]])
    features = torch.from_numpy(padded).transpose(0, 1)[None]  # (1, C, T, h, w)
    position = 0

    def encoder(images: torch.Tensor) -> torch.Tensor:
        nonlocal position
        part = features[:, :, position : position + images.shape[2]]
        position += images.shape[2]
        return part

    case.begin()
    start = time.perf_counter()
    with torch.no_grad():
        peer.vis = None  # a global of the script
        peer.test([sample], SimpleNamespace(encoder=encoder), args)
    spent["total"] = time.perf_counter() - start
    case.report("crw", spent)


if __name__ == "__main__":
    main(*sys.argv[1:3])
