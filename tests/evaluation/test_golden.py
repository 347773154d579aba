"""Figures equal to those the official code gave for a prediction anyone can rebuild."""

from __future__ import annotations

from pathlib import Path

import pytest

from vos.benchmarks.scoring import write_lagging_results
from vos.datasets import open_dataset
from vos.evaluation.scores import Scores
from vos.evaluation.scoring import score_results
from vos.evaluation.tables import global_row

GOLDEN = Path(__file__).with_name("lag5_golden.csv")
HALF_A_DIGIT = 5.1e-10  # the golden figures have nine decimals


@pytest.fixture(scope="module")
def scores(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Scores:
    folder = tmp_path_factory.mktemp("lag5")
    parts = []
    for name, year in (("davis-2016-dev", 2016), ("davis-2017-dev", 2017)):
        for split in ("train", "val"):
            lists = data_root / name / "ImageSets" / ("480p" if year == 2016 else "2017")
            if (lists / f"{split}.txt").is_file():
                break
        dataset = open_dataset("davis", root=data_root / name, year=year, split=split)
        write_lagging_results(folder, dataset)
        parts.append(score_results(folder, dataset))
    return Scores.combine(parts)


def golden_rows() -> dict[str, list[float]]:
    lines = [line for line in GOLDEN.read_text().splitlines() if not line.startswith("#")]
    cells = [line.split(",") for line in lines[1:]]
    return {name: [float(value) for value in values] for name, *values in cells}


def test_every_object(scores: Scores) -> None:
    expected = golden_rows()
    del expected["global"]
    assert {each.name for each in scores.objects} == set(expected)
    for each in scores.objects:
        figures = [each.J_statistics.mean, each.F_statistics.mean]
        assert figures == pytest.approx(expected[each.name], abs=HALF_A_DIGIT), each.name


def test_all_objects_together(scores: Scores) -> None:
    assert global_row(scores) == pytest.approx(golden_rows()["global"], abs=HALF_A_DIGIT)
