"""`vos score`: score a folder of masks, ours or anyone's, like the official DAVIS evaluation."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vos.cli import options


class Scorer(StrEnum):
    """Whose code scores."""

    vos = "vos"
    official = "official"


def score(
    results: Annotated[Path, typer.Argument(help="Folder of <sequence>/<00000>.png masks.")],
    dataset: options.Dataset = "sample",
    root: options.Root = None,
    year: options.Year = 2017,
    split: options.Split = None,
    sequences: options.Sequences = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the tables; beside the masks by default.")
    ] = None,
    scorer: Annotated[
        Scorer, typer.Option(help="official: davis2017-evaluation too, where it is installed.")
    ] = Scorer.vos,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes.", show_default="one per processor")
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Score masks by region J and boundary F, and write the official tables beside them.

    The whole folder is checked first: a missing frame, a foreign object id, an RGB mask or a
    wrong size ends the command with exit code 4 and the name of the file. Files of the names of
    the tables that this command did not write, such as those of vos eval, stay as they are.
    """
    from vos.datasets import open_dataset
    from vos.evaluation.official import require_official, score_official
    from vos.evaluation.score import score as run_scoring
    from vos.evaluation.tables import (
        GLOBAL_COLUMNS,
        format_comparison,
        format_table,
        global_row,
    )

    options.set_up_messages()
    if scorer is Scorer.official:
        require_official()
    names = options.parse_names(sequences)
    truth = open_dataset(dataset, root=root, year=year, split=split, sequences=names)
    scores = run_scoring(results, truth, out=out, workers=workers)
    record = {**scores.as_dict(), "masks": scores.masks, "seconds": round(scores.seconds, 3)}
    text = format_table(scores)
    if scorer is Scorer.official:
        official = score_official(results, truth)
        difference = official.largest_difference(scores)
        record["official"] = dict(zip(GLOBAL_COLUMNS, official.row, strict=True))
        record["official"]["seconds"] = round(official.seconds, 3)
        record["largest_difference"] = difference
        text += (
            f"\n\n{format_comparison(global_row(scores), official.row)}\n"
            f"largest difference {difference:.1e}; "
            f"vos took {scores.seconds:.2f} s, official {official.seconds:.2f} s"
        )
    typer.echo(json.dumps(record) if as_json else text)
