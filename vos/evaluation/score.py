"""`vos score`: score a folder of masks, ours or anyone's, and write the tables."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vos.datasets import Dataset, open_dataset
from vos.errors import UsageError, VosError
from vos.evaluation.evaluate import METRICS, dataset_inputs
from vos.evaluation.results import masks_of
from vos.evaluation.scores import Scores
from vos.evaluation.scoring import score_results
from vos.evaluation.tables import table_paths, write_tables
from vos.files import as_path, write_json
from vos.runs.folder import RunFolder
from vos.runs.paths import Input, Output, check_paths

log = logging.getLogger("vos")

SCORE_RECORD = "scores.manifest.jsonl"  # beside the record of the run that made the masks


@dataclass(frozen=True)
class ScoreFiles:
    """Where the tables of a score went.

    Attributes:
        written: files that were written.
        kept: files of the same names that another wrote, and that were left as they are.
        problem: why nothing could be written beside the masks.
    """

    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    problem: str = ""


def score(
    results: str | Path,
    dataset: str | Dataset = "sample",
    *,
    root: str | Path | None = None,
    year: int = 2017,
    split: str | None = None,
    sequences: Iterable[str] | None = None,
    out: str | Path | None = None,
    workers: int | None = None,
) -> Scores:
    """Score a results folder, ours or anyone's, and write metrics.json and the official tables.

    >>> vos.score("results", "davis", root="DAVIS").as_dict()["J&F"]
    ...

    Args:
        results: ``<results>/<sequence>/<frame>.png``; see `score_results`.
        dataset: ``sample``, ``davis``, ``youtube-vos``, or an opened data set.
        root, year, split, sequences: for a data set by name, see `vos.open_dataset`.
        out: folder of the tables. None puts them beside the masks, where files of the same names
            that this did not write (those of `vos.evaluate`, say) are left as they are.
        workers: processes; None takes one per processor.

    Raises:
        UsageError: an unknown data set, or ``out`` holds an input or something else.
        InvalidResultsError, MissingError, VosError: see `score_results`; nothing is written then.
    """
    if isinstance(dataset, str):
        dataset = open_dataset(dataset, root=root, year=year, split=split, sequences=sequences)
    scores, files = score_to_files(results, dataset, out=out, workers=workers)
    if files.written:
        names = ", ".join(path.name for path in files.written)
        log.info("wrote %s in %s", names, files.written[0].parent)
    if files.problem:
        log.warning("no tables written: %s", files.problem)
    if files.kept:
        names = ", ".join(path.name for path in files.kept)
        log.warning("left %s as they are: vos score did not write them; give another out", names)
    return scores


def score_to_files(
    results: Path | str,
    dataset: Dataset,
    *,
    out: Path | str | None = None,
    workers: int | None = None,
) -> tuple[Scores, ScoreFiles]:
    """Score masks and write the tables, as `score` does; return where the tables went too."""
    results = as_path(results, "the results")
    out = None if out is None else as_path(out, "out")
    beside = out is None or out.resolve() == results.resolve()
    folder = results if out is None or beside else out
    files = [folder / METRICS, *table_paths(folder, dataset.split)]
    outputs = [Output("the tables", path) for path in (*files, folder / SCORE_RECORD)]
    if not beside:
        outputs.append(Output("the tables", folder, folder=True))
    masks = masks_of(results, dataset)
    scored = [Input("the masks to be scored", masks / each.name) for each in dataset]
    check_paths([*scored, *dataset_inputs(dataset)], outputs)
    scores = score_results(results, dataset, workers=workers)
    try:
        return scores, _write(folder, files, scores, beside=beside)
    except VosError as error:
        if not beside:
            raise
        return scores, ScoreFiles((), (), problem=str(error))


def _write(folder: Path, files: list[Path], scores: Scores, *, beside: bool) -> ScoreFiles:
    run = RunFolder.open(
        folder,
        {"command": "score"},
        record=folder / SCORE_RECORD,
        shared=beside,
        overwrite=None,
    )
    metrics, *tables = files
    kept = [path for path in files if beside and not _is_free(run, path)]
    written = []
    if metrics not in kept:
        run.write(write_json, metrics, scores.as_dict())
        written.append(metrics)
    if not set(tables) & set(kept):
        with run.writing(*tables):
            written += write_tables(folder, scores)
    return ScoreFiles(tuple(written), tuple(kept))


def _is_free(run: RunFolder, path: Path) -> bool:
    try:
        run.check([path])
    except UsageError:
        return False
    return True
