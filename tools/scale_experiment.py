"""Accuracy and equivariance error against the zoom, for every kind of small network.

    python tools/scale_experiment.py --images FOLDER --out RESULTS
    python tools/scale_experiment.py --images FOLDER --out RESULTS --sweep dss-small

FOLDER holds mnist.npz and cifar10-20k.zip. A case that RESULTS holds already is not computed
again, so a run that was stopped goes on, and tables and plots come at once.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot as plt
from scale_training import Case, run_case, sweep, table

from vos.cli.exit_codes import exit_cleanly
from vos.files import write_text

MODELS = (
    "small",
    "deformable-small",
    "dss-small",
    "dss-v2-small",
    "deformable-dss-small",
    "rotation-small-c8",
)


def main() -> None:
    arguments = parse()
    common = {
        "rate": arguments.rate,
        "epochs": arguments.epochs,
        "train": arguments.train,
        "test": arguments.test,
        "seed": arguments.seed,
    }
    for task in arguments.tasks:
        if arguments.sweep:
            groups = sweep(task, f"{arguments.sweep}{arguments.options}", **common)
            results = {name: run(cases, arguments) for name, cases in groups.items()}
            write_text(
                arguments.out / f"sweep-{task}-{arguments.sweep}.md",
                "".join(f"{name}\n\n{table(rows)}\n" for name, rows in results.items()),
            )
            draw_sweep(results, arguments.out / f"sweep-{task}-{arguments.sweep}.png")
        else:
            cases = [
                Case(task, f"{name}{arguments.options}", **common) for name in arguments.models
            ]
            rows = run(cases, arguments)
            write_text(arguments.out / f"scale-{task}.md", table(rows))
            draw_curves(rows, arguments.out / f"scale-{task}.png")
            print(table(rows))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, help="folder of the data files")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tasks", nargs="*", default=["mnist", "cifar"])
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--options", default="", help="of every model, such as ,width=8")
    parser.add_argument("--sweep", metavar="MODEL", help="vary one parameter of it at a time")
    parser.add_argument("--train", type=int, default=10_000)
    parser.add_argument("--test", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def run(cases: list[Case], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    for case in cases:
        rows.append(run_case(case, arguments.images, arguments.out / "cases"))
        print(f"{case.task} {case.model} {case.rate:g}: {rows[-1]['accuracy']:.3f}", flush=True)
    return rows


def draw_curves(rows: list[dict[str, Any]], path: Path) -> None:
    """Accuracy and equivariance error against the zoom, a line a network."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for row in rows:
        name = row["model"].split(",")[0]
        left.plot(row["zooms"], row["accuracies"], "o-", label=name)
        right.plot(row["zooms"], row["errors"], "o-", label=name)
    left.set_ylabel("accuracy")
    right.set_ylabel("equivariance error")
    for axes in (left, right):
        axes.set_xlabel("zooming out by")
        axes.grid(alpha=0.3)
    right.legend()
    figure.suptitle(f"scale-{rows[0]['task']}, {rows[0]['train']:,} training images")
    save(figure, path)


def draw_sweep(results: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Accuracy and error at zoom 3 against each parameter."""
    figure, columns = plt.subplots(
        2, len(results), figsize=(12, 4.6), sharex="col", sharey="row", layout="constrained"
    )
    for (name, rows), (above, below) in zip(results.items(), columns.T, strict=True):
        places = range(len(rows))
        above.plot(places, [row["accuracy"] for row in rows], "o-", color="tab:blue")
        below.plot(places, [row["errors"][-1] for row in rows], "o-", color="tab:orange")
        below.set_xlabel("initial rate" if name == "rate" else name)
        below.set_xticks(places, [f"{value_of(row, name):g}" for row in rows])
        for axes in (above, below):
            axes.grid(alpha=0.3)
            axes.margins(x=0.2)
    columns[0, 0].set_ylabel("accuracy")
    columns[1, 0].set_ylabel("error at zoom 3")
    save(figure, path)


def value_of(row: dict[str, Any], name: str) -> float:
    if name == "rate":
        return row["rate"]
    options = dict(pair.split("=") for pair in row["model"].split(",")[1:])
    return float(options[name])


def save(figure: plt.Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    plt.close(figure)


if __name__ == "__main__":
    with exit_cleanly("scale_experiment"):
        main()
