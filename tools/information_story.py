"""What contrastive coding says about information, on views whose information is known.

    python tools/information_story.py bound
    python tools/information_story.py views

``bound``: two Gaussian views with a known mutual information and the best critic there is, the
density ratio: the bound ``log k - L`` against the number k of negatives. ``views``: three views
made of factors that two or all three of them share; encoders are trained with the core view and
with the full graph, and each factor is read from each representation by its nearest neighbours.
"""

from __future__ import annotations

import argparse
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from vos.cli.exit_codes import exit_cleanly
from vos.objectives import critic_in_batch, information_bound, softmax_loss
from vos.objectives.contrastive import directions

NEGATIVES = [2**power for power in range(4, 15)]  # 16 to 16,384
INFORMATION = (2.0, 5.0, 8.0)  # nats
PAIRS = 4096  # that the bound is the mean of

# Which views (0, 1, 2) each factor shows in.
FACTORS = {"in all": (0, 1, 2), "in 1 and 2": (0, 1), "in 1 and 3": (0, 2), "in 2 and 3": (1, 2)}
OWN = "in one"  # a factor of each view alone
SIZE = 2  # numbers of a factor
TEMPERATURE = 0.2
NEIGHBOURS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("part", choices=["bound", "views"])
    parser.add_argument("--steps", type=int, default=200, help="of training, for views")
    parser.add_argument("--dims", type=int, nargs="*", default=[3, 8], help="of z, for views")
    parser.add_argument("--seeds", type=int, default=3, help="for views")
    arguments = parser.parse_args()
    if arguments.part == "bound":
        print(bound_table())
    else:
        print(views_table(arguments.dims, arguments.steps, arguments.seeds))


def bound_table() -> str:
    """``log k - L`` of the best critic, a line per number of negatives."""
    lines = ["| k | log k | " + " | ".join(f"I = {nats:g}" for nats in INFORMATION) + " |"]
    lines.append("|---" * (2 + len(INFORMATION)) + "|")
    for negatives in NEGATIVES:
        found = [f"{bound(nats, negatives):.2f}" for nats in INFORMATION]
        lines.append(f"| {negatives:,} | {math.log(negatives):.2f} | {' | '.join(found)} |")
    return "\n".join(lines)


def bound(nats: float, negatives: int, *, dim: int = 8, seed: int = 0) -> float:
    """Return the bound for two Gaussian views of ``dim`` numbers that share ``nats`` nats."""
    generator = torch.Generator().manual_seed(seed)
    correlation = math.sqrt(1 - math.exp(-2 * nats / dim))
    total, chunk = 0.0, max(1, 2**20 // negatives)
    for size in torch.arange(PAIRS).split(chunk):
        one = torch.randn(len(size), dim, generator=generator)
        noise = torch.randn(len(size), dim, generator=generator)
        two = correlation * one + math.sqrt(1 - correlation**2) * noise
        others = torch.randn(negatives, dim, generator=generator)
        positive = log_ratio(one, two, correlation)
        negative = log_ratio(one[:, None], others[None], correlation)
        total += float(information_bound(positive, negative)) * len(size)
    return total / PAIRS


def log_ratio(one: Tensor, two: Tensor, correlation: float) -> Tensor:
    """Return log p(two | one) / p(two) of views (..., dim), up to what does not matter: (...)."""
    spread = 1 - correlation**2
    given = -(two - correlation * one).square().sum(-1) / (2 * spread)
    return given + two.square().sum(-1) / 2 - 0.5 * one.shape[-1] * math.log(spread)


def views_table(dims: list[int], steps: int, seeds: int) -> str:
    """R squared of each factor by neighbours in each representation, a line per graph and view."""
    columns = [*FACTORS, OWN]
    lines = [
        "| z | graph | view | " + " | ".join(columns) + " |",
        "|---" * (3 + len(columns)) + "|",
    ]
    for dim in dims:
        for graph in ("core", "full"):
            runs = [three_views(graph, dim, steps, seed) for seed in range(seeds)]
            for view in range(3):
                row = torch.tensor([[run[view][name] for name in columns] for run in runs])
                cells = " | ".join(
                    "" if math.isnan(mean) else f"{mean:.2f}" for mean in row.mean(0).tolist()
                )
                lines.append(f"| {dim} | {graph} | {view + 1} | {cells} |")
    return "\n".join(lines)


def three_views(graph: str, dim: int, steps: int, seed: int) -> list[dict[str, float]]:
    """Train an encoder per view; return for each view R squared of each factor that it shows."""
    torch.manual_seed(seed)
    mixtures = [nn.Sequential(nn.Linear(4 * SIZE, 64), nn.Tanh(), nn.Linear(64, 32)) for _ in "123"]
    encoders = [
        nn.Sequential(nn.Linear(32, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(),
                      nn.Linear(128, dim))
        for _ in range(3)
    ]  # fmt: skip
    parameters = [value for encoder in encoders for value in encoder.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=1e-3)
    for _ in range(steps):
        views, _ = scenes(mixtures, 256)
        z = [functional.normalize(f(view)) for f, view in zip(encoders, views, strict=True)]
        ids = torch.arange(256)
        losses = [
            softmax_loss(*critic_in_batch(z[a], z[b], ids, ids, ids, temperature=TEMPERATURE))
            for a, b in directions(graph, 3)
        ]
        optimiser.zero_grad()
        torch.stack([loss.mean() for loss in losses]).sum().backward()
        optimiser.step()
    with torch.no_grad():
        (known, truth), (asked, wanted) = scenes(mixtures, 4096), scenes(mixtures, 4096)
        found = []
        for view in range(3):
            fit, test = (
                functional.normalize(encoders[view](each[view])) for each in (known, asked)
            )
            found.append(
                {
                    name: r_squared((fit, truth[name][view]), (test, wanted[name][view]))
                    for name in truth
                }
            )
    return found


@torch.no_grad()
def scenes(mixtures: list[nn.Sequential], count: int) -> tuple[list[Tensor], dict[str, list]]:
    """Return three views (count, 32), and by factor what of it each view shows, or None."""
    shared = {name: torch.randn(count, SIZE) for name in FACTORS}
    shown: dict[str, list] = {
        name: [value if view in FACTORS[name] else None for view in range(3)]
        for name, value in shared.items()
    }
    shown[OWN] = [torch.randn(count, SIZE) for _ in range(3)]
    views = []
    for view, mixture in enumerate(mixtures):
        parts = [values[view] for values in shown.values() if values[view] is not None]
        views.append(mixture(torch.cat(parts, dim=1)))
    return views, shown


def r_squared(known: tuple[Tensor, Tensor | None], asked: tuple[Tensor, Tensor | None]) -> float:
    """Share of a factor that the mean of the nearest neighbours explains; nan where it is not."""
    (features, target), (test, truth) = known, asked
    if target is None or truth is None:
        return math.nan
    nearest = (test @ features.T).topk(NEIGHBOURS).indices
    error = (target[nearest].mean(dim=1) - truth).square().mean()
    return float(1 - error / truth.var())


if __name__ == "__main__":
    with exit_cleanly("information_story"):
        main()
