"""Measure how time and memory of a contrastive step grow with negatives and the memory bank.

    python tools/bench_contrastive.py --draw batch --loss nce --plot growth.png

Every measurement runs in a process of its own.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from vos.cli.exit_codes import exit_cleanly
from vos.errors import VosError
from vos.files import atomic_path
from vos.machine import peak_memory_mb

NEGATIVES = (1024, 2048, 4096, 8192, 16384)
SCENES = (10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Case:
    """One step of two views: draw, score both ways, loss, gradient, update of both banks.

    ``draw`` is ``batch`` (the same negatives for all anchors) or ``sample`` (their own).
    """

    negatives: int
    scenes: int
    draw: str
    loss: str = "nce"
    batch: int = 128
    dim: int = 128
    repeats: int = 7


@dataclass(frozen=True)
class ContrastiveSpeed:
    """Figures of a case.

    Attributes:
        seconds: processor time of the fastest step: other work on the machine changes it little.
        memory_mb: peak of the steps above what the process held with its banks, MiB.
        bank_mb: storage of both banks, MiB.
    """

    case: Case
    seconds: float
    memory_mb: float
    bank_mb: float


def default_cases(draw: str, loss: str) -> list[Case]:
    """More negatives with the smallest bank, then larger banks with 4096 negatives."""
    cases = [Case(count, SCENES[0], draw, loss) for count in NEGATIVES]
    return cases + [Case(4096, scenes, draw, loss) for scenes in SCENES[1:]]


def bench_contrastive(cases: list[Case]) -> Iterator[ContrastiveSpeed]:
    """Measure the cases one after another.

    Raises:
        VosError: a measurement failed.
    """
    for case in cases:
        command = [sys.executable, __file__, "--case", json.dumps(asdict(case))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise VosError(f"{case.negatives} negatives of {case.scenes} scenes failed: {last}")
        yield ContrastiveSpeed(case, **json.loads(done.stdout.splitlines()[-1]))


def measure(case: Case) -> dict[str, float]:
    """Measure in this process."""
    import torch

    from vos.objectives.contrastive import critic, log_partition, nce_loss, softmax_loss
    from vos.objectives.memory_bank import MemoryBank, uniform_ids

    torch.set_flush_denormal(True)
    banks = [MemoryBank(case.scenes, case.dim, seed=view) for view in range(2)]
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, case.batch, case.dim, generator=generator)
    features = torch.nn.functional.normalize(features, dim=2).requires_grad_()
    shape = (case.negatives,) if case.draw == "batch" else (case.batch, case.negatives)

    def step() -> None:
        features.grad = None
        scenes = uniform_ids(case.scenes, (case.batch,), generator)
        ids = uniform_ids(case.scenes, shape, generator)
        total = features.new_zeros(())
        for view in range(2):
            other = banks[1 - view]
            scores = critic(features[view], other.rows(scenes), other.rows(ids))
            if case.loss == "softmax":
                total = total + softmax_loss(*scores).mean()
            else:
                known = log_partition(*scores, case.scenes)
                loss = nce_loss(*scores, log_partition=known, population=case.scenes)
                total = total + loss.mean()
        total.backward()
        for view in range(2):
            banks[view].update(scenes, features[view])

    gc.collect()
    _forget_peak()
    before = psutil.Process().memory_info().rss / 2**20
    times = []
    for _ in range(case.repeats):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    storage = 2 * case.scenes * case.dim * 4 / 2**20
    return {"seconds": min(times), "memory_mb": _peak_mb() - before, "bank_mb": storage}


def _forget_peak() -> None:
    """Let the peak of this process start again, where the system can."""
    path = Path("/proc/self/clear_refs")
    if path.exists():
        path.write_text("5", encoding="ascii")


def _peak_mb() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return peak_memory_mb()
    lines = status.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith("VmHWM"))


def plot_contrastive(speeds: Sequence[ContrastiveSpeed], path: Path) -> None:
    """Draw seconds per step and its memory against negatives and against scenes, as a PNG."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, columns = pyplot.subplots(2, 2, figsize=(8, 5), layout="constrained")
    fewest = min(speed.case.scenes for speed in speeds)
    usual = next(speed.case.negatives for speed in speeds if speed.case.scenes > fewest)
    growths = (
        ("negatives", [speed for speed in speeds if speed.case.scenes == fewest]),
        ("scenes in the bank", [speed for speed in speeds if speed.case.negatives == usual]),
    )
    for (name, family), (above, below) in zip(growths, columns.T, strict=True):
        by_scenes = name != "negatives"
        places = [s.case.scenes if by_scenes else s.case.negatives for s in family]
        above.plot(places, [1000 * speed.seconds for speed in family], "o-", color="tab:blue")
        below.plot(places, [speed.memory_mb for speed in family], "o-", color="tab:orange")
        below.set_xlabel(name)
        for axes in (above, below):
            axes.set_ylim(bottom=0)
            axes.set_xscale("log" if by_scenes else "linear")
            axes.grid(alpha=0.3)
    columns[0, 0].set_ylabel("milliseconds per step")
    columns[1, 0].set_ylabel("memory of a step (MiB)")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=90)
    pyplot.close(figure)


def main() -> None:
    arguments = _parse()
    if arguments.case:
        print(json.dumps(measure(Case(**json.loads(arguments.case)))))
        return
    speeds = []
    if not arguments.json:
        print(f"{'negatives':>9}{'scenes':>9}{'seconds':>9}{'MiB':>7}{'bank MiB':>10}")
    for speed in bench_contrastive(default_cases(arguments.draw, arguments.loss)):
        speeds.append(speed)
        case = speed.case
        if not arguments.json:
            print(
                f"{case.negatives:9d}{case.scenes:9d}{speed.seconds:9.4f}{speed.memory_mb:7.0f}"
                f"{speed.bank_mb:10.0f}",
                flush=True,
            )
    if arguments.plot is not None:
        plot_contrastive(speeds, arguments.plot)
    if arguments.json:
        print(json.dumps([asdict(speed) for speed in speeds]))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--draw", choices=("batch", "sample"), default="batch", help="negatives per step, or anchor"
    )
    parser.add_argument("--loss", choices=("nce", "softmax"), default="nce")
    parser.add_argument("--plot", type=Path, help="draw the figures into this PNG")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--case", help=argparse.SUPPRESS)  # one measurement, in this process
    return parser.parse_args()


if __name__ == "__main__":
    with exit_cleanly("bench_contrastive"):
        main()
