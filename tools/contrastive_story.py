"""The choices of contrastive multiview coding, compared: train small networks, measure, draw.

    python tools/contrastive_story.py --data IMAGES --probe LABELLED --out FOLDER

trains one small network a choice on the same images with the same seed, probes it, measures J&F
on the sample, and writes ``choices.json`` and ``choices.png``. ``--only NAME`` makes one of them;
what is there already is not made again, and runs that were stopped go on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import vos
from vos.analysis.probe import probe
from vos.backbones.families.cmc import Multiview
from vos.cli.exit_codes import exit_cleanly
from vos.datasets.labelled import open_labelled
from vos.files import read_json, write_json
from vos.machine import resolve_device
from vos.training import load_config, train
from vos.training.config import EvaluationConfig
from vos.training.evaluation import make_evaluation

NETWORK = "cmc-alexnet,stem=5,stem_stride=2,width=0.25,hidden=256,pool=4,dim=64"
BANK = ["objective.contrastive.loss=softmax", "objective.contrastive.negatives=1024"]


def views(names: str) -> str:
    return f"model.backbone={NETWORK},views={names}"


# name -> (what it is, settings on top of the common ones)
CHOICES: dict[str, tuple[str, list[str]]] = {
    "untrained": ("untrained", []),
    "batch": ("L+ab, softmax, rest of the batch (127)", ["objective.contrastive.negatives=0"]),
    "k16": ("L+ab, softmax, 16 of the bank", [*BANK, "objective.contrastive.negatives=16"]),
    "k128": ("L+ab, softmax, 128 of the bank", [*BANK, "objective.contrastive.negatives=128"]),
    "k1024": ("L+ab, softmax, 1024 of the bank", BANK),
    "nce": ("L+ab, NCE, 1024 of the bank", [*BANK, "objective.contrastive.loss=nce"]),
    "bilinear": (
        "L+ab, softmax, rest of the batch, bilinear critic",
        ["objective.contrastive.negatives=0", "objective.contrastive.critic=bilinear"],
    ),
    "predict": (
        "L+ab, each predicted from the other",
        ["objective.name=predictive", "optimiser.radius_rate=1e-2"],
    ),
    "one": ("L alone, softmax, 1024 of the bank", [*BANK, views("L")]),
    "core3": ("L+ab+edges, core", [*BANK, views("L+ab+edges")]),
    "full3": (
        "L+ab+edges, full graph",
        [*BANK, views("L+ab+edges"), "objective.contrastive.graph=full"],
    ),
}


def main() -> None:
    arguments = parse()
    for name in [arguments.only] if arguments.only else CHOICES:
        path = arguments.out / f"{name}.json"
        if not path.is_file():
            write_json(path, measure(name, arguments))
        print(name, json.dumps(read_json(path)["probe"]), flush=True)
    paths = {name: arguments.out / f"{name}.json" for name in CHOICES}
    results = {name: read_json(path) for name, path in paths.items() if path.is_file()}
    write_json(arguments.out / "choices.json", results)
    draw(results, arguments.out / "choices.png")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="to train on")
    parser.add_argument("--probe", type=Path, required=True, help="labelled images")
    parser.add_argument("--per-class", type=int, default=500, help="images to probe with")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=list(CHOICES))
    parser.add_argument("--set", dest="settings", nargs="*", default=[], help="key=value")
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train, probe and evaluate one choice."""
    common = [f"model.backbone={NETWORK}", "steps=500", "log_every=10", "checkpoint_every=50"]
    description, settings = CHOICES[name]
    config = load_config("cmc-alexnet", [*common, *settings, *arguments.settings])
    config.data.paths = [str(path) for path in arguments.data]
    curves: list[dict[str, float]] = []
    backbone = vos.load(config.model.backbone, seed=config.seed)
    if name != "untrained":
        trained = train(config, arguments.out / name, device=arguments.device)
        backbone = vos.load(trained.weights)
        lines = (trained.run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        curves = [json.loads(line) for line in lines]
    device = resolve_device(arguments.device)
    assert isinstance(backbone, Multiview)
    names = ["z1", "map1"] if len(backbone.views) == 1 else ["z1", "z2", "z", "map1", "map"]
    report = probe(
        backbone.to(device),
        open_labelled(arguments.probe),
        names=names,
        per_class=arguments.per_class,
        device=device,
    )
    jf = make_evaluation(
        EvaluationConfig(
            settings={
                "short_side": "160",
                "small_object": "0",
                "motion": "none",
                "classifier": "0",
                "sharpness": "1",
                "grid_to_mask": "bilinear",
            }
        ),
        arguments.out / name / "evaluation",
        device,
    )(backbone)
    accuracies = {row.features: [row.linear, row.neighbours] for row in report.rows}
    return {"choice": description, "probe": accuracies, "sample": jf, "curves": curves}


def draw(results: dict[str, Any], path: Path) -> None:
    """Probe accuracy of L's representation and of all, and J&F, a bar a choice."""
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained", sharey=True)
    labels = [result["choice"] for result in results.values()]
    panels = (
        ("linear probe of z of L (%)", [100 * r["probe"]["z1"][0] for r in results.values()]),
        (
            "linear probe of the map of L (%)",
            [100 * r["probe"]["map1"][0] for r in results.values()],
        ),
        ("J&F on the sample (%)", [100 * r["sample"]["J&F"] for r in results.values()]),
    )
    for axis, (title, values) in zip(axes, panels, strict=True):
        bars = axis.barh(labels, values, color="tab:blue")
        axis.bar_label(bars, fmt="%.1f", padding=2)
        axis.set_title(title)
        axis.grid(axis="x", alpha=0.3)
        axis.margins(x=0.15)
    axes[0].invert_yaxis()
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    with exit_cleanly("contrastive_story"):
        main()
