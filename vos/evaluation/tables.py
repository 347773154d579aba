"""Scores as tables: the official CSV files, and text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vos.evaluation.scores import Scores
from vos.files import write_text
from vos.metrics import Statistics

GLOBAL_COLUMNS = (
    "J&F-Mean",
    "J-Mean",
    "J-Recall",
    "J-Decay",
    "F-Mean",
    "F-Recall",
    "F-Decay",
)
SEQUENCE_COLUMNS = ("Sequence", "J-Mean", "F-Mean")
DECIMALS = 9  # the official code writes three, which hides what two scorers differ in


def global_row(scores: Scores) -> list[float]:
    """Return the figures of ``GLOBAL_COLUMNS``."""
    return [
        scores.JF,
        *(scores.J.mean, scores.J.recall, scores.J.decay),
        *(scores.F.mean, scores.F.recall, scores.F.decay),
    ]


def table_paths(folder: Path, split: str) -> list[Path]:
    """Return the paths of the two official tables in a folder: all objects, and one by one."""
    return [
        folder / f"global_results-{split}.csv",
        folder / f"per-sequence_results-{split}.csv",
    ]


def write_tables(folder: Path, scores: Scores) -> list[Path]:
    """Write the two CSV files with the official names and columns.

    Files of the same names are replaced: they are never read back.

    Returns:
        The paths written.

    Raises:
        VosError: the folder cannot be written.
    """
    summary, by_object = table_paths(folder, scores.split)
    rows = [
        [each.name, *_decimals(each.J_statistics.mean, each.F_statistics.mean)]
        for each in scores.objects
    ]
    write_text(summary, _csv(GLOBAL_COLUMNS, [_decimals(*global_row(scores))]))
    write_text(by_object, _csv(SEQUENCE_COLUMNS, rows))
    return [summary, by_object]


def format_table(scores: Scores) -> str:
    """Return a table for people: a line per object, then the averages, in per cent."""
    header = ("object", "J&F", "J", "recall", "decay", "F", "recall", "decay")
    rows = [
        (each.name, each.JF, *_numbers(each.J_statistics), *_numbers(each.F_statistics))
        for each in scores.objects
    ]
    last = ("all objects", scores.JF, *_numbers(scores.J), *_numbers(scores.F))
    width = max(len(str(row[0])) for row in [*rows, last])
    lines = [f"{header[0]:<{width}}" + "".join(f"{name:>8}" for name in header[1:])]
    rule = "─" * len(lines[0])
    body = [f"{row[0]:<{width}}" + _per_cent(row[1:]) for row in [*rows, last]]
    return "\n".join([*lines, rule, *body[:-1], rule, body[-1]])


def format_comparison(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return two rows of ``GLOBAL_COLUMNS`` under each other, and their largest difference."""
    header = f"{'':<10}" + "".join(f"{name:>14}" for name in GLOBAL_COLUMNS)
    rows = [
        f"{name:<10}" + "".join(f"{value:>14.9f}" for value in values)
        for name, values in (("vos", ours), ("official", theirs))
    ]
    return "\n".join([header, *rows])


def _numbers(statistics: Statistics) -> tuple[float, float, float]:
    return statistics.mean, statistics.recall, statistics.decay


def _per_cent(values: Sequence[float]) -> str:
    return "".join(f"{100 * value:>8.1f}" for value in values)


def _decimals(*values: float) -> list[str]:
    return [f"{value:.{DECIMALS}f}" for value in values]


def _csv(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "".join(",".join(row) + "\n" for row in [columns, *rows])
