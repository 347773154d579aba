"""How fast masks are scored, beside the official code where it is installed."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vos.datasets import Dataset
from vos.evaluation.official import score_official
from vos.evaluation.scoring import score_results
from vos.media.masks import read_palette_mask, write_mask

LAG = 5  # frames


@dataclass(frozen=True)
class ScoringSpeed:
    """Best times over the repeats, decoding included.

    Attributes:
        masks: predicted masks scored.
        seconds: time of ``score_results``, its check of the whole folder included.
        official_seconds: time of davis2017-evaluation, or None where it is not installed.
        largest_difference: between the figures of the two.
    """

    masks: int
    seconds: float
    official_seconds: float | None
    largest_difference: float | None

    @property
    def frames_per_second(self) -> float:
        """Masks scored in a second."""
        return self.masks / self.seconds

    @property
    def ratio(self) -> float | None:
        """How many times faster than the official code."""
        return None if self.official_seconds is None else self.official_seconds / self.seconds


def bench_scoring(
    dataset: Dataset,
    results: Path | None = None,
    *,
    repeats: int = 3,
    workers: int | None = None,
) -> ScoringSpeed:
    """Time scoring of a results folder, by default the truth of five frames before.

    The official code and ours take turns, so that both see the same load of the machine.
    """
    with tempfile.TemporaryDirectory(prefix="vos-bench-") as folder:
        if results is None:
            results = Path(folder)
            write_lagging_results(results, dataset)
        ours, theirs = [], []
        for _ in range(repeats):
            scores = score_results(results, dataset, workers=workers)
            ours.append(scores.seconds)
            if importlib.util.find_spec("davis2017") is not None:
                official = score_official(results, dataset)
                theirs.append(official.seconds)
    return ScoringSpeed(
        masks=scores.masks,
        seconds=min(ours),
        official_seconds=min(theirs) if theirs else None,
        largest_difference=official.largest_difference(scores) if theirs else None,
    )


def write_lagging_results(results: Path, dataset: Dataset, lag: int = LAG) -> None:
    """Write results whose mask of frame t is the true mask of frame max(0, t - lag)."""
    for sequence in dataset.sequences:
        for index, path in enumerate(sequence.mask_paths):
            source = sequence.mask_paths[max(0, index - lag)]
            target = results / sequence.name / f"{path.stem}.png"
            if sequence.binary:
                write_mask(target, (read_palette_mask(source) != 0).astype("uint8"))
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
