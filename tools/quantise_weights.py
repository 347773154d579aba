"""Write the 8-bit form of a checkpoint, `int8.onnx` beside its weights.

    python tools/quantise_weights.py weights/icon-resnet18 --data CLIPS

To be run when the weights change: vos uses 8 bits only where they were made from just these
weights. Of 16 videos, drawn at random, one frame each says how large activations become. Needs the
extra `onnx`.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

import vos
from vos.backbones import weights_digest
from vos.backbones.inference import FeatureExtractor
from vos.backbones.quantised import QUANTISED_NAME, mean_cosine, quantise
from vos.cli.exit_codes import exit_cleanly
from vos.errors import MissingError
from vos.media.listing import is_video
from vos.propagation import frame_size, preset
from vos.propagation.frame_size import resize_frame

VIDEOS = 16
INDEX = 10  # of the frame of each: many videos start blank


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of videos")
    arguments = parser.parse_args()
    backbone = vos.load(arguments.checkpoint)
    frames = list(frames_of(arguments.data, backbone.stride))
    path = arguments.checkpoint / QUANTISED_NAME
    quantise(backbone, weights_digest(backbone), frames, path)

    backbone.quantised = path
    exact, rounded = (FeatureExtractor(backbone, precision=each) for each in ("float32", "int8"))
    cosines = [mean_cosine(rounded([frame]), exact([frame])) for frame in frames]
    size = path.stat().st_size / 1e6
    print(f"{path}: {size:.1f} MB, mean cosine with float32 {np.mean(cosines):.4f}")


def frames_of(folders: list[Path], stride: int) -> Iterator[np.ndarray]:
    """Yield one frame of each of some videos, at the size that `default` shows to a backbone."""
    found = sorted(path for folder in folders for path in folder.rglob("*") if is_video(path))
    if not found:
        raise MissingError(f"no videos in {', '.join(map(str, folders))}")
    config = preset("default")
    for path in random.Random(0).sample(found, min(VIDEOS, len(found))):
        frame = next(islice(vos.open_video(path), INDEX, None), None)
        if frame is not None:
            seen = frame_size(*frame.shape[:2], config, stride)
            yield resize_frame(frame, seen, config.resampling)


if __name__ == "__main__":
    with exit_cleanly("quantise_weights"):
        main()
