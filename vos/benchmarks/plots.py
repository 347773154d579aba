"""Draw the measurements of propagation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from vos.benchmarks.propagation import Case, PropagationSpeed
from vos.files import atomic_path

GROWTHS: dict[str, Callable[[Case], float]] = {
    "context frames": lambda case: case.recent,
    "objects": lambda case: case.objects,
    "short side (pixels)": lambda case: case.short_side,
    "length of the clip (frames)": lambda case: case.frames,
}


def plot_propagation(speeds: Sequence[PropagationSpeed], path: Path) -> None:
    """Draw seconds per frame and peak memory against each quantity that varies, as a PNG."""
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
            axes.set_ylim(0, 1.1 * axes.dataLim.y1)
            axes.grid(alpha=0.3)
    columns[0, 0].set_ylabel("seconds per frame")
    columns[1, 0].set_ylabel("peak memory (MiB)")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
    pyplot.close(figure)


def _varying(
    speeds: Sequence[PropagationSpeed], quantity: Callable[[Case], float]
) -> list[PropagationSpeed]:
    """Return the largest family of cases that differ in ``quantity`` alone, in its order."""
    families: dict[tuple[float, ...], dict[float, PropagationSpeed]] = {}
    for speed in speeds:
        others = tuple(other(speed.case) for other in GROWTHS.values() if other is not quantity)
        families.setdefault(others, {})[quantity(speed.case)] = speed
    family = max(families.values(), key=len)
    return [family[value] for value in sorted(family)]
