"""Do equivariant networks carry masks better? Each family trained alike, J&F and cost beside it.

    python tools/families_story.py --data CLIPS --out RESULTS
    python tools/families_story.py --data CLIPS --out RESULTS --torus

The first trains every family with ICON `roll` on the same data and steps. The second asks whether
a network that is exactly equivariant to rolls needs the rolling augmentation: the same UNet with
zeros and with a torus as its border, under the augmentations `none`, `affine` and `roll`.

A run that RESULTS holds already is not made again, and one that was stopped goes on.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
import numpy as np
import torch
from matplotlib import pyplot as plt
from stories import measured_on, story_parser
from torch.nn import functional

import vos
from vos.backbones.catalogue import SIZE_480P, multiply_adds
from vos.backbones.inference import fold_batch_norm
from vos.cli.exit_codes import exit_cleanly
from vos.datasets.clips import Clip, find_clips, load_clips
from vos.files import read_json, write_json, write_text
from vos.training import TrainConfig, load_config, train
from vos.training.evaluation import make_evaluation
from vos.training.pairs import PairLoader, PairSampler

# Stride 4 throughout, but for the pyramid, which is pooled to its smallest map.
FAMILIES = (
    "rotation-unet-c1",
    "rotation-unet-c4",
    "rotation-unet-c8",
    "rotation-unet-d4",
    "resnet18,layer=2,stride=4",
    "rotation-resnet18-c8,layer=2,stride=4",
    "dss-resnet18,layer=2,stride=4",
    "dss-v2-resnet18,layer=2",
    "deformable-resnet18,layer=2,stride=4",
    "deformable-dss-resnet18,layer=2,stride=4",
)
TORUS = "rotation-unet-c1,levels=2,border="
BORDERS = ("zeros", "circular")
MODES = ("none", "affine", "roll")
PICTURES = 32  # pairs of unrelated pictures, for the share of matches at the same place


def main() -> None:
    arguments = parse()
    if arguments.torus:
        cases = [(f"{TORUS}{border}", mode) for border in BORDERS for mode in arguments.modes]
    else:
        cases = [(spec, "roll") for spec in arguments.models or FAMILIES]
    rows = [run(spec, mode, arguments) for spec, mode in cases]
    name = "torus" if arguments.torus else "families"
    write_json(arguments.out / f"{name}.json", rows)
    write_text(arguments.out / f"{name}.md", table(rows))
    print(table(rows))
    if arguments.torus:
        draw(rows, arguments.out / "torus.png")


def parse() -> argparse.Namespace:
    parser = story_parser(__doc__)
    parser.add_argument("--models", nargs="*", help="specs instead of all families")
    parser.add_argument("--torus", action="store_true", help="the story of the rolls")
    parser.add_argument("--modes", nargs="*", default=list(MODES), help="augmentations of it")
    return parser.parse_args()


def run(spec: str, mode: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train one network and measure it, unless that has been done."""
    folder = arguments.out / f"{spec.replace(',', '-')}-{mode}"
    path = arguments.out / "cases" / f"{folder.name}.json"
    if path.is_file():
        return read_json(path)
    config = load_config(f"icon-{'roll' if mode == 'center' else mode}-tiny", arguments.settings)
    config.model.backbone = spec
    config.data.paths = [str(item) for item in arguments.data]
    clips = load_clips(find_clips(arguments.data), short_side=config.data.short_side)
    trained = train(config, folder, device="cpu", clips=clips)
    backbone = vos.load(trained.weights)
    row = {
        "model": spec,
        "mode": mode,
        "steps": trained.steps,
        "loss": trained.metrics["loss"],
        "cycle_accuracy": trained.metrics["cycle_accuracy"],
        "same_place": same_place(backbone, clips, config),
        "parameters": sum(item.numel() for item in backbone.parameters()),
        "giga_multiply_adds": multiply_adds(backbone) / 1e9,
        "seconds_480p": seconds_a_frame(backbone),
        "trained": score(backbone, arguments, folder),
        "untrained": untrained_score(spec, arguments),
    }
    write_json(path, row)
    print(f"{spec} {mode}: J&F {row['trained']:.3f}, untrained {row['untrained']:.3f}", flush=True)
    return row


def untrained_score(spec: str, arguments: argparse.Namespace) -> float:
    """J&F of random weights: the same for every augmentation, so measured once."""
    path = arguments.out / "cases" / f"{spec.replace(',', '-')}-untrained.json"
    if not path.is_file():
        write_json(path, score(vos.load(spec), arguments, arguments.out / "untrained"))
    return read_json(path)


def score(backbone: vos.Backbone, arguments: argparse.Namespace, folder: Path) -> float:
    """J&F of a backbone at 120 lines, 0 to 1."""
    measure = make_evaluation(measured_on(arguments), folder / "evaluation", torch.device("cpu"))
    return measure(backbone)["J&F"]


@torch.no_grad()
def same_place(backbone: vos.Backbone, clips: list[Clip], config: TrainConfig) -> float:
    """Share of tokens whose nearest neighbour in an unrelated picture is at the same place.

    Pictures that have nothing to do with one another are matched by chance, once in N tokens,
    unless features tell where they are.
    """
    sampler = PairSampler(clips, config.data, config.crop, seed=999)
    pictures = PairLoader(clips, sampler, workers=1).load(range(PICTURES))[0].float() / 255
    features = functional.normalize(backbone(pictures), dim=1).flatten(2)
    others = features.roll(1, dims=0)
    nearest = torch.einsum("bcn,bcm->bnm", features, others).argmax(dim=2)
    return float((nearest == torch.arange(nearest.shape[1])).float().mean())


@torch.inference_mode()
def seconds_a_frame(backbone: vos.Backbone) -> float:
    """Best of three forward passes at 480p, as `vos eval` runs it."""
    network = fold_batch_norm(backbone).to(memory_format=torch.channels_last)
    frame = torch.rand(1, 3, *SIZE_480P).to(memory_format=torch.channels_last)
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        network(frame)
        best = min(best, time.perf_counter() - started)
    return best


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as Markdown."""
    columns = ("model", "mode", "parameters", "GMAC 480p", "s / frame 480p", "loss")
    columns += ("same place", "J&F untrained", "J&F")
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for row in rows:
        lines.append(
            f"| `{row['model']}` | {row['mode']} | {row['parameters']:,} | "
            f"{row['giga_multiply_adds']:.1f} | {row['seconds_480p']:.2f} | {row['loss']:.2f} | "
            f"{row['same_place']:.3f} | {100 * row['untrained']:.1f} | {100 * row['trained']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Bars: J&F and the share of matches at the same place, for each border and mode."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for index, border in enumerate(BORDERS):
        chosen = [row for row in rows if row["model"].endswith(border)]
        places = np.arange(len(chosen)) + 0.4 * index
        label = "torus" if border == "circular" else border
        left.bar(places, [100 * row["trained"] for row in chosen], 0.38, label=label)
        right.bar(places, [row["same_place"] for row in chosen], 0.38, label=label)
    left.axhline(100 * rows[0]["untrained"], color="grey", linestyle=":", label="untrained")
    for axes, title in ((left, "J&F"), (right, "matches at the same place")):
        modes = list(dict.fromkeys(row["mode"] for row in rows))
        axes.set_xticks(np.arange(len(modes)) + 0.2, modes)
        axes.set_title(title)
    left.legend()
    figure.savefig(path, dpi=90)
    plt.close(figure)


if __name__ == "__main__":
    with exit_cleanly("families_story"):
        main()
