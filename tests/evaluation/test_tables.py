"""The official CSV files and the table for people."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from vos.errors import VosError
from vos.evaluation.scores import ObjectScores, Scores
from vos.evaluation.tables import format_table, write_tables


@pytest.fixture
def scores() -> Scores:
    generator = np.random.default_rng(0)
    frames = np.arange(1, 21)
    return Scores(
        tuple(
            ObjectScores(name, object_id, frames, generator.random(20), generator.random(20))
            for name, object_id in (("bear", 1), ("bear", 2), ("goat", 1))
        ),
        split="train",
        masks=44,
    )


def test_csv_files_have_the_official_names_columns_and_figures(
    scores: Scores, tmp_path: Path
) -> None:
    write_tables(tmp_path, scores)
    with (tmp_path / "global_results-train.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert list(row) == [
        "J&F-Mean",
        "J-Mean",
        "J-Recall",
        "J-Decay",
        "F-Mean",
        "F-Recall",
        "F-Decay",
    ]
    assert float(row["J&F-Mean"]) == pytest.approx(scores.JF, abs=1e-9)
    assert float(row["F-Decay"]) == pytest.approx(scores.F.decay, abs=1e-9)
    with (tmp_path / "per-sequence_results-train.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["Sequence", "J-Mean", "F-Mean"]
    assert [row["Sequence"] for row in rows] == ["bear_1", "bear_2", "goat_1"]
    assert float(rows[1]["J-Mean"]) == pytest.approx(scores.objects[1].J.mean(), abs=1e-9)


def test_the_figures_as_json_are_the_same(scores: Scores) -> None:
    metrics = json.loads(json.dumps(scores.as_dict()))
    assert metrics["J&F"] == scores.JF
    assert metrics["objects"]["goat_1"]["F"] == scores.objects[2].F_statistics.mean


def test_stale_tables_are_replaced(scores: Scores, tmp_path: Path) -> None:
    stale = tmp_path / "global_results-train.csv"
    stale.write_text("J&F-Mean\n0.999\n")
    write_tables(tmp_path, scores)
    assert "0.999\n" not in stale.read_text()


def test_table_has_a_line_an_object_and_the_averages_in_per_cent(scores: Scores) -> None:
    lines = format_table(scores).splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["bear_1", "bear_2", "goat_1"]
    assert lines[-1].startswith("all objects")
    assert f"{100 * scores.JF:.1f}" in lines[-1]
    assert len({len(line) for line in lines}) == 1


def test_folder_that_cannot_be_written_is_one_line(scores: Scores, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file, not a folder")
    with pytest.raises(VosError, match="cannot write"):
        write_tables(tmp_path / "results", scores)
