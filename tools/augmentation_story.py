"""The story of the four augmentations: train each tiny config, measure, draw one figure.

    python tools/augmentation_story.py --data VIDEOS --root DAVIS --out FOLDER

trains ``icon-none-tiny``, ``icon-affine-tiny``, ``icon-center-tiny`` and ``icon-roll-tiny`` on
the same data with the same seed, measures J&F along the way, and asks of each final network
which displacements it can match. Writes ``augmentations.png`` and ``augmentations.json``. Runs
that were stopped go on when the same command is given again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from stories import measured_on, story_parser
from torch.nn import functional

import vos
from vos.cli.exit_codes import exit_cleanly
from vos.datasets.clips import find_clips, load_clips
from vos.files import write_json
from vos.training import TrainConfig, load_config, train
from vos.training.augmentation import MODES
from vos.training.config import CropConfig
from vos.training.pairs import PairLoader, PairSampler

SHIFTS = (0, 1, 2, 3, 4, 6, 8)  # tokens
PAIRS = 64


def main() -> None:
    arguments = parse()
    results = {}
    for mode in MODES:
        config = make_config(mode, arguments)
        trained = train(config, arguments.out / mode, device=arguments.device)
        backbone = vos.load(str(trained.weights))
        curves = [
            json.loads(line)
            for line in (trained.run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        results[mode] = {"curves": curves, **match_statistics(backbone, config)}
        print(f"{mode}: {trained.metrics}", flush=True)
    write_json(arguments.out / "augmentations.json", results)
    draw(results, arguments.out / "augmentations.png")


def parse() -> argparse.Namespace:
    parser = story_parser(__doc__)
    parser.add_argument("--every", type=int, default=100, help="steps between measures")
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


def make_config(mode: str, arguments: argparse.Namespace) -> TrainConfig:
    """The tiny config of a mode, on the given data, measured along the way."""
    config = load_config(f"icon-{mode}-tiny", arguments.settings)
    config.data.paths = [str(path) for path in arguments.data]
    config.evaluation = measured_on(arguments, every=arguments.every)
    return config


@torch.no_grad()
def match_statistics(backbone: vos.Backbone, config: TrainConfig) -> dict[str, Any]:
    """What a network can match.

    ``found``: share of tokens whose nearest neighbour in the same picture, moved by a known
    number of tokens, is the moved token (to within one token). ``distances``: how far apart, in
    tokens, nearest neighbours of real pairs of frames lie, as a histogram.
    """
    side = config.crop.size
    clips = load_clips(find_clips([Path(p) for p in config.data.paths]), short_side=128)
    wide = CropConfig(size=2 * side, share_min=1.0, share_max=1.0, flip=0.0)
    sampler = PairSampler(clips, config.data, wide, seed=999)
    pairs = PairLoader(clips, sampler, workers=2).load(range(PAIRS)).float() / 255
    found = {}
    for shift in SHIFTS:
        moved = shift * backbone.stride
        one = unit(backbone(pairs[0][..., :side, :side]))
        two = unit(backbone(pairs[0][..., :side, moved : moved + side]))
        distance = match_distance(one, two, (0, -shift))
        columns = torch.arange(one.shape[-1])
        visible = (columns >= shift).expand_as(distance)
        found[shift] = float((distance[visible] <= 1).float().mean())
    frames = [unit(backbone(crop[..., :side, :side])) for crop in pairs]
    lengths = match_distance(frames[0], frames[1], (0, 0)).flatten().numpy()
    counts, _ = np.histogram(lengths, bins=np.arange(0, side / backbone.stride + 1))
    return {"found": found, "distances": (counts / counts.sum()).tolist()}


def unit(features: torch.Tensor) -> torch.Tensor:
    return functional.normalize(features, dim=1)


def match_distance(one: torch.Tensor, two: torch.Tensor, expected: tuple[int, int]) -> torch.Tensor:
    """Distance of each token's nearest neighbour from where it is expected, (B, h, w)."""
    rows, columns = one.shape[-2:]
    affinity = one.flatten(2).transpose(1, 2) @ two.flatten(2)  # (B, N, N)
    best = affinity.argmax(dim=2).view(-1, rows, columns)
    y = torch.arange(rows)[:, None] + expected[0]
    x = torch.arange(columns)[None, :] + expected[1]
    return torch.hypot((best // columns - y).float(), (best % columns - x).float())


def draw(results: dict[str, Any], path: Path) -> None:
    """Loss, J&F, what can be matched, and how far matches lie, one line a mode."""
    figure, axes = plt.subplots(2, 2, figsize=(11, 7.5), constrained_layout=True)
    for mode, result in results.items():
        curves = result["curves"]
        steps = np.array([row["step"] for row in curves])
        loss = np.array([row["loss"] for row in curves])
        axes[0, 0].plot(steps, loss, label=mode)
        measured = [(row["step"], 100 * row["J&F"]) for row in curves if "J&F" in row]
        if measured:
            axes[0, 1].plot(*zip(*measured, strict=True), marker="o", label=mode)
        found = result["found"]
        axes[1, 0].plot([int(s) for s in found], list(found.values()), marker="o", label=mode)
        axes[1, 1].plot(result["distances"], drawstyle="steps-post", label=mode)
    titles = ("Loss", "J&F", "Share of tokens found again", "Distance of matches in real pairs")
    labels = ("step", "step", "displacement of the picture (tokens)", "distance (tokens)")
    for axis, title, label in zip(axes.flat, titles, labels, strict=True):
        axis.set_title(title)
        axis.set_xlabel(label)
        axis.grid(alpha=0.3)
    axes[0, 0].legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    with exit_cleanly("augmentation_story"):
        main()
