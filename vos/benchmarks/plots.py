"""Figures of measurements as pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from vos.benchmarks.contrastive import ContrastiveSpeed
from vos.benchmarks.propagation import Case, PropagationSpeed
from vos.files import atomic_path

GROWTHS: dict[str, Callable[[Case], float]] = {
    "context frames": lambda case: case.recent,
    "objects": lambda case: case.objects,
    "short side (pixels)": lambda case: case.short_side,
    "length of the clip (frames)": lambda case: case.frames,
}


def plot_propagation(speeds: Sequence[PropagationSpeed], path: Path) -> None:
    """Draw seconds a frame and peak memory against each quantity that the cases vary, as a PNG."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, columns = pyplot.subplots(2, len(GROWTHS), figsize=(14, 5), layout="constrained")
    for (name, quantity), (above, below) in zip(GROWTHS.items(), columns.T, strict=True):
        family = _varying(speeds, quantity)
        places = [quantity(speed.case) for speed in family]
        above.plot(places, [speed.seconds for speed in family], "o-", color="tab:blue")
        below.plot(places, [speed.memory_mb for speed in family], "o-", color="tab:orange")
        below.set_xlabel(name)
        for axes in (above, below):
            axes.set_ylim(bottom=0)
            axes.grid(alpha=0.3)
    columns[0, 0].set_ylabel("seconds a frame")
    columns[1, 0].set_ylabel("peak memory (MiB)")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
    pyplot.close(figure)


def plot_contrastive(speeds: Sequence[ContrastiveSpeed], path: Path) -> None:
    """Draw seconds a step and its memory against negatives and against scenes, as a PNG."""
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
    columns[0, 0].set_ylabel("milliseconds a step")
    columns[1, 0].set_ylabel("memory of a step (MiB)")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=90)
    pyplot.close(figure)


def _varying(
    speeds: Sequence[PropagationSpeed], quantity: Callable[[Case], float]
) -> list[PropagationSpeed]:
    """The largest family of cases that differ in ``quantity`` alone, in its order."""
    families: dict[tuple[float, ...], dict[float, PropagationSpeed]] = {}
    for speed in speeds:
        others = tuple(other(speed.case) for other in GROWTHS.values() if other is not quantity)
        families.setdefault(others, {})[quantity(speed.case)] = speed
    family = max(families.values(), key=len)
    return [family[value] for value in sorted(family)]
