"""vos from frames to masks, with its default model and preset, or the preset that is named."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from common import Clip

import vos
from vos.media import read_mask, write_mask
from vos.media.background import BackgroundWriter
from vos.settings import DEFAULT_MODEL


def main(folder: str, preset: str = "default") -> None:
    clip = Clip(Path(folder))
    segment = partial(vos.propagate, model=vos.load(DEFAULT_MODEL), preset=preset)
    first = read_mask(clip.masks / "00000.png")
    for _ in segment([np.zeros((*first.shape, 3), np.uint8)] * 3, {0: first}):
        pass  # what is compiled is loaded, as one would once for many videos
    clip.begin()

    start = time.perf_counter()
    first = read_mask(clip.masks / "00000.png")
    with BackgroundWriter() as writer:
        for index, _, mask in segment(clip.frames, {0: first}):
            writer.submit(write_mask, clip.out("vos") / f"{index:05d}.png", mask)
    clip.report("vos", {"total": time.perf_counter() - start})


if __name__ == "__main__":
    main(*sys.argv[1:3])
