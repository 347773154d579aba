"""Run the peers' own label propagation beside vos: same frames, features, settings and machine.

    python tools/bench_peers.py --crw videowalk --dino dino --root DAVIS --sequence car-turn

Each contender runs in a process of its own, one after the other, on features that are made once.
Printed: seconds per frame without features, peak memory (of which without libraries), the ratio,
and the share of mask pixels on which both agree. Checkouts: https://github.com/ajabri/videowalk and
https://github.com/facebookresearch/dino.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import vos
from vos.backbones.inference import FeatureExtractor
from vos.benchmarks.propagation import cut_into_parts
from vos.cli.exit_codes import exit_cleanly
from vos.datasets import Sequence, open_dataset
from vos.media import read_mask
from vos.propagation import frame_size, preset
from vos.propagation.frame_size import resize_frame

WORKERS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Comparison:
    """A peer's protocol: context frames, channels and stride of the features that it ran on."""

    peer: str
    recent: int
    stride: int
    channels: int


COMPARISONS = {
    "crw-20": Comparison("crw", 20, 8, 256),
    "crw-7": Comparison("crw", 7, 8, 256),
    "dino-8": Comparison("dino", 7, 8, 384),
    "dino-16": Comparison("dino", 7, 16, 384),
}


def main() -> None:
    options = _options()
    sequence = open_dataset(
        "davis", root=options.root, year=options.year, split=options.split,
        sequences=[options.sequence],
    ).sequences[0]  # fmt: skip
    checkouts = {"crw": options.crw, "dino": options.dino}
    records = {}
    for name in options.only or COMPARISONS:
        comparison = COMPARISONS[name]
        if checkouts[comparison.peer] is None:
            continue
        with tempfile.TemporaryDirectory(prefix="vos-peers-") as folder:
            _write_case(Path(folder), sequence, comparison, options)
            records[name] = _compare(Path(folder), comparison, checkouts[comparison.peer], options)
        print(_line(name, records[name]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(records, indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--crw", type=Path, help="checkout of videowalk")
    parser.add_argument("--dino", type=Path, help="checkout of dino")
    parser.add_argument("--root", type=Path, required=True, help="DAVIS folder")
    parser.add_argument("--year", type=int, default=2016)
    parser.add_argument("--split", default="train")
    parser.add_argument("--sequence", default="car-turn")
    parser.add_argument("--frames", type=int, default=24, help="of the sequence")
    parser.add_argument("--objects", type=int, default=1, help="parts that the object is cut into")
    parser.add_argument("--model", default="resnet18", help="makes the features")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", nargs="*", choices=sorted(COMPARISONS))
    parser.add_argument("--json", type=Path, help="write the figures there")
    return parser.parse_args()


def _write_case(
    folder: Path, sequence: Sequence, comparison: Comparison, options: argparse.Namespace
) -> None:
    frames, masks = folder / "JPEGImages/480p/clip", folder / "Annotations/480p/clip"
    frames.mkdir(parents=True)
    masks.mkdir(parents=True)
    count = min(options.frames, len(sequence))
    first = cut_into_parts(sequence.mask(0), options.objects)
    for index in range(count):
        (frames / f"{index:05d}.jpg").symlink_to(sequence.frame_paths[index].resolve())
        Image.fromarray(first if index == 0 else np.zeros_like(first)).save(
            masks / f"{index:05d}.png"
        )
    np.save(folder / "features.npy", _features(sequence, count, comparison, options.model))
    settings = {
        "stride": comparison.stride,
        "recent": comparison.recent,
        "preset": comparison.peer,
    }
    (folder / "case.json").write_text(json.dumps(settings))


def _features(sequence: Sequence, count: int, comparison: Comparison, model: str) -> np.ndarray:
    """(T, C, h, w) float32 features of length one, on the grid and with the channels of the peer.

    Features of stride 8 are averaged to a coarser grid and turned into other numbers of channels
    by a fixed random projection: propagation costs the same whatever the channels mean.
    """
    config = preset(comparison.peer)
    extractor = FeatureExtractor(vos.load(model), torch.device("cpu"), frame_count=count)
    height, width = sequence.frame(0).shape[:2]
    size = frame_size(height, width, config, comparison.stride)
    grid = (-(-size[0] // comparison.stride), -(-size[1] // comparison.stride))
    projection = torch.randn(
        extractor.channels, comparison.channels, generator=torch.Generator().manual_seed(0)
    )
    maps = []
    for index in range(count):
        frame = resize_frame(sequence.frame(index), size, config.resampling)
        features = extractor([frame])
        features = torch.nn.functional.interpolate(features, grid, mode="area")[0]
        if extractor.channels != comparison.channels:
            features = torch.einsum("chw,cd->dhw", features, projection)
        maps.append(torch.nn.functional.normalize(features, dim=0).numpy())
    return np.stack(maps)


def _compare(
    folder: Path, comparison: Comparison, checkout: Path, options: argparse.Namespace
) -> dict[str, Any]:
    environment = {"OMP_NUM_THREADS": str(options.threads), "PATH": "/usr/bin:/bin"}
    for worker, argument in ((comparison.peer, str(checkout.resolve())), ("ours", "auto")):
        command = [sys.executable, str(WORKERS / f"{worker}.py"), str(folder), argument]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{worker} failed:\n{done.stderr[-2000:]}")
    count = len(list((folder / "JPEGImages/480p/clip").iterdir()))
    theirs = json.loads((folder / f"{comparison.peer}.json").read_text())
    ours = json.loads((folder / "vos.json").read_text())
    agreement = [
        np.mean(
            read_mask(folder / comparison.peer / f"{i:05d}.png")
            == read_mask(folder / "vos" / f"{i:05d}.png")
        )
        for i in range(1, count)
    ]
    return {
        "frames": count,
        "peer_seconds": theirs["seconds"]["total"] / (count - 1),
        "seconds": ours["seconds"]["total"] / (count - 1),
        "stages": {stage: value / (count - 1) for stage, value in ours["seconds"].items()},
        "ratio": theirs["seconds"]["total"] / ours["seconds"]["total"],
        "peer_memory_mb": theirs["peak_memory_mb"],
        "memory_mb": ours["peak_memory_mb"],
        "peer_working_memory_mb": theirs["working_memory_mb"],
        "working_memory_mb": ours["working_memory_mb"],
        "agreement": float(np.mean(agreement)),
        "worst_agreement": float(np.min(agreement)),
    }


def _line(name: str, record: dict[str, Any]) -> str:
    return (
        "{name:8} peer {peer_seconds:7.3f} s/frame {peer_memory_mb:5.0f} MB "
        "({peer_working_memory_mb:.0f}) | vos {seconds:6.3f} s/frame {memory_mb:5.0f} MB "
        "({working_memory_mb:.0f}) | ratio {ratio:5.1f} | "
        "pixels equal {agreement:.4%} (worst frame {worst_agreement:.4%})"
    ).format(name=name, **record)


if __name__ == "__main__":
    with exit_cleanly("bench_peers"):
        main()
