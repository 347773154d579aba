"""Cutie (Cheng et al. 2024) from frames to masks, as its scripting_demo.py does it, on the CPU.

Weights are random: the time does not depend on them, the masks do. What its networks would load
from the internet is taken from networks of the same shape that torchvision makes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Clip
from PIL import Image
from torchvision.models import resnet18, resnet50
from torchvision.transforms.functional import to_tensor

SHAPES = {"resnet18": resnet18, "resnet50": resnet50}


def main(folder: str, checkout: str, size: str = "small") -> None:
    clip = Clip(Path(folder))
    processor = _processor(Path(checkout), size)
    clip.begin()

    start = time.perf_counter()
    first = torch.from_numpy(np.array(Image.open(clip.masks / "00000.png")))
    objects = [int(each) for each in first.unique() if each]
    with torch.inference_mode():
        for index, path in enumerate(sorted(clip.frames.iterdir())):
            frame = to_tensor(Image.open(path).convert("RGB")).float()
            found = processor.step(frame, first, objects) if index == 0 else processor.step(frame)
            mask = processor.output_prob_to_mask(found).numpy().astype(np.uint8)
            Image.fromarray(mask).save(clip.out("cutie") / path.with_suffix(".png").name)
    clip.report("cutie", {"total": time.perf_counter() - start})


def _processor(checkout: Path, size: str) -> Any:
    """Return its InferenceCore with the settings that it evaluates DAVIS-2017 with."""
    sys.path.insert(0, str(checkout))
    from cutie.inference.inference_core import InferenceCore
    from cutie.inference.utils.args_utils import get_dataset_cfg
    from cutie.model.cutie import CUTIE
    from cutie.model.utils import resnet
    from hydra import compose, initialize_config_dir

    resnet.model_zoo.load_url = lambda url, **_: SHAPES[url.split("/")[-1][:8]]().state_dict()
    with initialize_config_dir(str(checkout / "cutie" / "config"), version_base="1.3.2"):
        config = compose("eval_config", [f"model={size}"])
    get_dataset_cfg(config)
    return InferenceCore(CUTIE(config).eval(), cfg=config)


if __name__ == "__main__":
    main(*sys.argv[1:4])
