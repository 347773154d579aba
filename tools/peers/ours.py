"""vos on features that are given: propagation, upsampling and writing."""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path

import numpy as np
import torch
from common import Case

from vos.media import read_image, read_mask, write_mask
from vos.media.background import BackgroundWriter
from vos.propagation import PropagationConfig, Propagator, frame_size, preset


def main(folder: str, engine: str = "auto") -> None:
    case = Case(Path(folder))
    config = config_of(case)
    stride = case.settings["stride"]
    first = read_mask(case.masks / "00000.png")
    _warm_up(case, config, engine, first)
    case.begin()

    spent = {"propagation": 0.0, "masks": 0.0}
    start = time.perf_counter()
    size = first.shape
    seen = frame_size(*size, config, stride)
    propagator = Propagator(config, engine=engine)
    with BackgroundWriter() as writer:
        for index, features in enumerate(case.features):
            began = time.perf_counter()
            given = torch.from_numpy(features)
            if index == 0:
                soft = propagator.annotate(0, given, first)
                mask = first
                between = time.perf_counter()
            else:
                soft = propagator.step(index, given)
                between = time.perf_counter()
                mask = soft.mask(size, seen)
            writer.submit(write_mask, case.out("vos") / f"{index:05d}.png", mask)
            spent["propagation"] += between - began
            spent["masks"] += time.perf_counter() - between
    spent["total"] = time.perf_counter() - start
    case.report("vos", spent)


def config_of(case: Case) -> PropagationConfig:
    """The preset of the peer, with as many context frames as the peer has in this case."""
    return dataclasses.replace(preset(case.settings["preset"]), recent=case.settings["recent"])


def _warm_up(case: Case, config: PropagationConfig, engine: str, first: np.ndarray) -> None:
    """Load what is compiled, as one would once for many videos."""
    read_image(next(iter(sorted(case.frames.iterdir()))))
    propagator = Propagator(config, engine=engine)
    small = torch.from_numpy(case.features[0][:, :16, :16].copy())
    propagator.annotate(0, small, first)
    propagator.step(1, small).mask((64, 64))


if __name__ == "__main__":
    main(*sys.argv[1:3])
