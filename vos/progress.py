"""Show the one progress bar, and time the stages of a run.

The bar has rate and time left and appears after two seconds: on standard error in a terminal, as a
widget in a notebook.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

Item = TypeVar("Item")

_quiet = False


def set_quiet(quiet: bool) -> None:
    """Silence (or restore) every progress bar of this process."""
    global _quiet
    _quiet = quiet


def progress(
    items: Iterable[Item] | None = None,
    *,
    total: int | None = None,
    description: str = "",
    unit: str = "frame",
    scale: bool = False,
) -> tqdm:
    """Wrap ``items`` (or count by hand with ``.update``) in a bar shown after two seconds.

    ``scale`` writes large counts with a metric prefix, as for bytes.
    """
    from tqdm.auto import tqdm

    return tqdm(
        items,
        total=total,
        desc=description,
        unit=unit,
        unit_scale=scale,
        delay=2.0,
        dynamic_ncols=True,
        disable=_quiet,
        leave=False,
    )


class Stopwatch:
    """Add up the seconds of named stages.

    >>> stopwatch = Stopwatch()
    >>> with stopwatch("features"):
    ...     pass
    >>> list(stopwatch.seconds)
    ['features']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - start
            self.seconds[stage] = self.seconds.get(stage, 0.0) + elapsed
