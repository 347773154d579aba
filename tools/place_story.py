"""What features of ICON know of their place, and of how far the picture was rolled.

    python tools/place_story.py --data CLIPS --out FOLDER --steps 150

The method's source asks whether a network can detect the rolls that are to keep it from labelling
places. A small UNet that sees the whole crop is trained under each augmentation, with zeros or a
torus as its border, and without the sphere; then linear probes read from its features, of pictures
that were not trained on, the amount of the roll and the place of a token. Beside that: the share
of the variance of features that the place accounts for, before and after the augmentation.

A run that FOLDER holds already is not made again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

import vos
from vos.backbones import family
from vos.backbones.families.rotation_unet import RotationUNet
from vos.backbones.layers import PixelCentring
from vos.backbones.layers.groups import Group
from vos.cli.exit_codes import exit_cleanly
from vos.datasets.clips import Clip, find_clips, load_clips
from vos.training import TrainConfig, load_config, train
from vos.training.augmentation import Draw, draw, unwarp, warp
from vos.training.pairs import PairLoader, PairSampler

SIDE, STRIDE = 64, 4  # of crops and tokens, in pixels
KNOWN, ASKED = 1200, 400  # pictures that probes are fitted to, and tested on
CELLS = 4  # a side: maps are averaged to so many cells for the probe of the roll
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # of the ridge, relative to the mean variance


class PlaceUNet(RotationUNet):
    """The UNet without turns, four levels deep; ``center`` takes the mean of each place away."""

    def __init__(self, border: str, center: bool) -> None:
        super().__init__(
            Group.named("c1"), width=8, features=32, stride=STRIDE, levels=4, border=border
        )
        self.centring = PixelCentring(32, SIDE // STRIDE) if center else torch.nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return self.centring(super().forward(images))


@family("place-unet", "a small UNet that sees all of a crop of 64 pixels")
def place_unet(border: str = "zeros", center: bool = False) -> PlaceUNet:
    return PlaceUNet(border, center)


@dataclass(frozen=True)
class Run:
    """One training: border of the network, augmentation, and whether features are normed."""

    border: str
    mode: str
    sphere: bool = True

    @property
    def name(self) -> str:
        return f"{self.border}-{self.mode}{'' if self.sphere else '-no-sphere'}"


RUNS = (
    Run("zeros", "none"),
    Run("zeros", "affine"),
    Run("zeros", "center"),
    Run("zeros", "roll"),
    Run("circular", "roll"),
    Run("zeros", "roll", sphere=False),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="clips")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--clips", type=int, default=60, help="about so many of them")
    arguments = parser.parse_args()
    found = find_clips(arguments.data)
    clips = load_clips(found[:: max(1, len(found) // arguments.clips)], short_side=96)
    print("| border | augmentation | loss | cycle accuracy half way | at the end | R2 of the roll "
          "| R2 of the place | place in the variance, before | after |")  # fmt: skip
    print("|---" * 9 + "|")
    untrained = vos.load("place-unet")
    print(f"| zeros | untrained | | | | {probes(untrained, clips)} |", flush=True)
    for run in RUNS:
        config = make_config(run, arguments.steps)
        trained = train(config, arguments.out / run.name, device="cpu", clips=clips)
        lines = (trained.run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        curve = [json.loads(line) for line in lines]
        middle, end = curve[len(curve) // 2], curve[-1]
        print(
            f"| {run.border} | {run.mode}{'' if run.sphere else ', no sphere'} | "
            f"{end['loss']:.2f} | {middle['cycle_accuracy']:.2f} | {end['cycle_accuracy']:.2f} | "
            f"{probes(vos.load(trained.weights), clips)} |",
            flush=True,
        )


def make_config(run: Run, steps: int) -> TrainConfig:
    """The tiny config of a mode, for the small network."""
    return load_config(
        f"icon-{run.mode}-tiny",
        [
            f"steps={steps}", "batch=8", "log_every=5", "loggers=[]", "data.short_side=96",
            f"model.backbone=place-unet,border={run.border},center={run.mode == 'center'}",
            f"model.sphere={run.sphere}",
        ],
    )  # fmt: skip


@torch.inference_mode()
def probes(backbone: vos.Backbone, clips: list[Clip]) -> str:
    """R squared of roll and place, and the share of the place before and after the rolls."""
    config = load_config("icon-roll-tiny")
    sampler = PairSampler(clips, config.data, config.crop, seed=999)
    numbers = range(KNOWN + ASKED)
    pictures = PairLoader(clips, sampler, workers=1, frames=1).load(numbers)[0].float() / 255
    size = (SIDE, SIDE)
    rolls = draw("roll", len(pictures), size, torch.Generator().manual_seed(5), strength=0.0)
    plain = maps(backbone, pictures)
    rolled = unwarp(maps(backbone, warp(pictures, rolls)), rolls, size)
    figures = (of_roll(rolled, rolls), of_place(plain), place_share(plain), place_share(rolled))
    return " | ".join(f"{figure:.3f}" for figure in figures)


def maps(backbone: vos.Backbone, pictures: Tensor) -> Tensor:
    """Features of length 1 as they are compared: (N, C, h, w)."""
    parts = [functional.normalize(backbone(part), dim=1) for part in pictures.split(50)]
    return torch.cat(parts)


def of_roll(features: Tensor, rolls: Draw) -> float:
    """R squared of the roll, as sines and cosines, from means and squares in each cell."""
    cells = [functional.adaptive_avg_pool2d(x, CELLS).flatten(1) for x in (features, features**2)]
    angles = 2 * torch.pi * rolls.shift / SIDE
    return ridge(torch.cat(cells, 1), torch.cat([angles.sin(), angles.cos()], 1))


def of_place(features: Tensor, tokens: int = 8) -> float:
    """R squared of row and column of a token from its features."""
    count, _, rows, columns = features.shape
    generator = torch.Generator().manual_seed(6)
    places = torch.randint(rows * columns, (count, tokens), generator=generator)
    chosen = features.flatten(2).transpose(1, 2).gather(
        1, places[:, :, None].expand(-1, -1, features.shape[1])
    )  # fmt: skip
    target = torch.stack([places // columns, places % columns], 2).float()
    return ridge(chosen.flatten(0, 1), target.flatten(0, 1))


def ridge(features: Tensor, target: Tensor) -> float:
    """R squared on the last quarter of the rows of a regression on the others.

    The strength is the best on the last fifth of those.
    """
    split = len(features) * KNOWN // (KNOWN + ASKED)
    inner = split * 4 // 5
    strength = max(STRENGTHS, key=lambda s: explained(features, target, inner, split, s))
    return explained(features, target, split, len(features), strength)


def explained(features: Tensor, target: Tensor, known: int, end: int, strength: float) -> float:
    """Share of the variance of rows ``known .. end`` that a ridge of the rows before explains."""
    mean, middle = features[:known].mean(0), target[:known].mean(0)
    inputs, wanted = (features - mean).double(), (target - middle).double()
    moments = inputs[:known].T @ inputs[:known] / known
    moments += strength * moments.diagonal().mean() * torch.eye(len(moments))
    weights = torch.linalg.solve(moments, inputs[:known].T @ wanted[:known] / known)
    error = (inputs[known:end] @ weights - wanted[known:end]).square().sum()
    return float(1 - error / wanted[known:end].square().sum())


def place_share(features: Tensor) -> float:
    """Share of the variance of features that lies between the means of the places.

    Of N pictures 1 / N comes about by chance, which is taken off.
    """
    between = features.mean(0).var(dim=(1, 2), correction=0).sum()
    whole = features.var(dim=(0, 2, 3), correction=0).sum()
    return float(between / whole) - 1 / len(features)


if __name__ == "__main__":
    with exit_cleanly("place_story"):
        main()
