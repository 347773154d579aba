"""vos from frames to masks, with its default model and preset, or the preset that is named."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from common import Clip

import vos
from vos.media import read_mask, write_mask
from vos.media.background import BackgroundWriter
from vos.settings import DEFAULT_MODEL


def main(folder: str, preset: str = "default") -> None:
    clip = Clip(Path(folder))
    network = vos.load(DEFAULT_MODEL)
    clip.begin()

    start = time.perf_counter()
    first = read_mask(clip.masks / "00000.png")
    with BackgroundWriter() as writer:
        for index, _, mask in vos.propagate(clip.frames, {0: first}, model=network, preset=preset):
            writer.submit(write_mask, clip.out("vos") / f"{index:05d}.png", mask)
    clip.report("vos", {"total": time.perf_counter() - start})


if __name__ == "__main__":
    main(*sys.argv[1:3])
