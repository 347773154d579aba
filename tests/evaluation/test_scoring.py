"""Scoring a results folder: which frames and objects count, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from moving_squares import SIZE, moving_squares
from PIL import Image

from vos.datasets import Dataset
from vos.errors import InvalidResultsError, MissingError, VosError
from vos.evaluation.scores import Scores
from vos.evaluation.scoring import score_results

MakeDataset = Callable[..., Dataset]
WriteResults = Callable[..., Path]


def test_the_truth_scores_one(make_dataset: MakeDataset, write_results: WriteResults) -> None:
    truth = {"bear": moving_squares(8), "goat": moving_squares(6, (1, 2, 3))}
    scores = score_results(write_results(truth), make_dataset(truth))
    assert [each.name for each in scores.objects] == [
        "bear_1",
        "bear_2",
        "goat_1",
        "goat_2",
        "goat_3",
    ]
    assert (scores.JF, scores.J.recall, scores.F.decay) == (1, 1, 0)
    assert scores.masks == 14


def test_first_and_last_frame_are_left_out(
    make_dataset: MakeDataset, write_results: WriteResults
) -> None:
    masks = moving_squares(6)
    results = [np.zeros(SIZE, np.uint8), *masks[1:-1], np.zeros(SIZE, np.uint8)]
    scores = score_results(write_results({"bear": results}), make_dataset({"bear": masks}))
    assert scores.JF == 1
    assert scores.objects[0].frames.tolist() == [1, 2, 3, 4]


def test_objects_are_all_ids_up_to_the_highest_of_frame_0(
    make_dataset: MakeDataset, write_results: WriteResults
) -> None:
    """Like the official scorer: id 2 is nowhere, which is right in every frame."""
    masks = moving_squares(5, (1, 3))
    late = [mask.copy() for mask in masks]
    late[3][40:46, 50:60] = 7  # appears after frame 0: nobody could know its id
    empty = [np.zeros(SIZE, np.uint8)] * 5
    scores = score_results(write_results({"bear": empty}), make_dataset({"bear": late}))
    assert {each.object_id: each.J_statistics.mean for each in scores.objects} == {1: 0, 2: 1, 3: 0}


def test_shifted_prediction_by_hand(make_dataset: MakeDataset, write_results: WriteResults) -> None:
    masks = moving_squares(6, (1,))
    lagging = [masks[0], *masks[:-1]]
    scores = score_results(write_results({"bear": lagging}), make_dataset({"bear": masks}))
    assert pytest.approx(90 / 110) == scores.objects[0].J


@pytest.mark.parametrize("value", [1, 255])
def test_binary_truth_takes_results_of_1_and_of_255(
    make_dataset: MakeDataset, write_results: WriteResults, value: int
) -> None:
    masks = moving_squares(5, (1,))
    truth = make_dataset({"bear": [mask * 255 for mask in masks]}, binary=True)
    results = write_results({"bear": [mask * value for mask in masks]})
    assert score_results(results, truth).JF == 1


def test_void_of_the_truth_counts_for_nothing(
    make_dataset: MakeDataset, write_results: WriteResults
) -> None:
    masks = moving_squares(5, (1,))
    truth = [mask.copy() for mask in masks]
    results = [mask.copy() for mask in masks]
    for index in range(5):
        truth[index][30:] = 255
        results[index][30:40] = 1
    scores = score_results(write_results({"bear": results}), make_dataset({"bear": truth}))
    assert scores.JF == 1


def test_combined_scores_weigh_objects_alike(
    make_dataset: MakeDataset, write_results: WriteResults
) -> None:
    truth = {"bear": moving_squares(6, (1,)), "goat": moving_squares(6, (1, 2))}
    results = {"bear": truth["bear"], "goat": [np.zeros(SIZE, np.uint8)] * 6}
    folder, dataset = write_results(results), make_dataset(truth)
    parts = [
        score_results(folder, Dataset(dataset.name, dataset.root, "val", (sequence,)))
        for sequence in dataset.sequences
    ]
    whole = score_results(folder, dataset)
    assert Scores.combine(parts).as_dict() == whole.as_dict()
    assert whole.J.mean == pytest.approx(1 / 3)


def test_number_of_workers_changes_nothing(
    make_dataset: MakeDataset, write_results: WriteResults
) -> None:
    masks = moving_squares(9)
    folder = write_results({"bear": [masks[0], *masks[:-1]]})
    dataset = make_dataset({"bear": masks})
    one, four = (score_results(folder, dataset, workers=workers) for workers in (1, 4))
    assert one.as_dict() == four.as_dict()


class TestInvalidResults:
    """Each names the file, and nothing is scored."""

    @pytest.fixture
    def dataset(self, make_dataset: MakeDataset) -> Dataset:
        return make_dataset({"bear": moving_squares(6), "goat": moving_squares(6)})

    @pytest.fixture
    def folder(self, write_results: WriteResults) -> Path:
        return write_results({"bear": moving_squares(6), "goat": moving_squares(6)})

    @pytest.mark.parametrize("index", [0, 3, 5])
    def test_missing_frame(self, folder: Path, dataset: Dataset, index: int) -> None:
        (folder / "goat" / f"{index:05d}.png").unlink()
        with pytest.raises(InvalidResultsError, match=rf"goat/{index:05d}\.png is missing"):
            score_results(folder, dataset)

    def test_missing_sequence(self, folder: Path, dataset: Dataset) -> None:
        (folder / "goat").rename(folder / "boat")
        with pytest.raises(InvalidResultsError, match=r"goat is missing"):
            score_results(folder, dataset)

    def test_missing_folder(self, folder: Path, dataset: Dataset) -> None:
        with pytest.raises(InvalidResultsError, match="nowhere"):
            score_results(folder / "nowhere", dataset)

    @pytest.mark.parametrize("extra", [3, 200, 255])
    def test_extra_id(self, folder: Path, dataset: Dataset, extra: int) -> None:
        self._replace(folder, np.full(SIZE, extra, np.uint8))
        with pytest.raises(InvalidResultsError, match=rf"goat/00003\.png holds the id {extra}"):
            score_results(folder, dataset)

    def test_id_in_a_gap_of_the_first_mask(
        self, make_dataset: MakeDataset, write_results: WriteResults
    ) -> None:
        masks = moving_squares(5, (1, 3))
        wrong = moving_squares(5, (1, 2))
        with pytest.raises(InvalidResultsError, match=r"the id 2, but .* only the ids 1, 3"):
            score_results(write_results({"bear": wrong}), make_dataset({"bear": masks}))

    def test_rgb_mask(self, folder: Path, dataset: Dataset) -> None:
        Image.new("RGB", SIZE[::-1]).save(folder / "goat" / "00003.png")
        with pytest.raises(InvalidResultsError, match=r"goat/00003\.png is a.? RGB"):
            score_results(folder, dataset)

    def test_wrong_size(self, folder: Path, dataset: Dataset) -> None:
        self._replace(folder, np.zeros((24, 32), np.uint8))
        with pytest.raises(InvalidResultsError, match=r"goat/00003\.png is 32 x 24 .* 64 x 48"):
            score_results(folder, dataset)

    @pytest.mark.parametrize("kept", [0, 60, 850])
    def test_truncated_png(self, folder: Path, dataset: Dataset, kept: int) -> None:
        path = folder / "goat" / "00003.png"
        path.write_bytes(path.read_bytes()[:kept])
        with pytest.raises(InvalidResultsError, match=r"goat/00003\.png"):
            score_results(folder, dataset)

    def test_mixture_of_1_and_255_for_binary_truth(
        self, make_dataset: MakeDataset, write_results: WriteResults
    ) -> None:
        masks = moving_squares(5, (1,))
        mixed = [mask.copy() for mask in masks]
        mixed[2][0, 0] = 255
        dataset = make_dataset({"bear": masks}, binary=True)
        with pytest.raises(InvalidResultsError, match=r"bear/00002\.png holds the id 255"):
            score_results(write_results({"bear": mixed}), dataset)

    @staticmethod
    def _replace(folder: Path, mask: np.ndarray) -> None:
        image = Image.fromarray(mask)
        image.putpalette(bytes(768))
        image.save(folder / "goat" / "00003.png")


def test_missing_truth_is_told(make_dataset: MakeDataset, write_results: WriteResults) -> None:
    masks = moving_squares(5)
    dataset = make_dataset({"bear": masks})
    dataset.sequences[0].mask_paths[3].unlink()
    with pytest.raises(MissingError, match=r"bear cannot be scored.*00003\.png"):
        score_results(write_results({"bear": masks}), dataset)


def test_two_frames_cannot_be_scored(
    make_dataset: MakeDataset, write_results: WriteResults
) -> None:
    masks = moving_squares(2)
    with pytest.raises(VosError, match="three are needed"):
        score_results(write_results({"bear": masks}), make_dataset({"bear": masks}))


def test_truth_without_objects_cannot_be_scored(
    make_dataset: MakeDataset, write_results: WriteResults
) -> None:
    empty = [np.zeros(SIZE, np.uint8)] * 5
    with pytest.raises(VosError, match="nothing to score"):
        score_results(write_results({"bear": empty}), make_dataset({"bear": empty}))
