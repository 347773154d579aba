"""Scale tasks are made as described, and a case that was run is not run again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scale_training
import torch
from scale_images import ImageTensors, load_images, scale_task, zoomed_out
from scale_training import Case, run_case, sweep, table

from vos.analysis.equivariance import ZOOMS
from vos.errors import MissingError, UsageError


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with an ``mnist.npz`` of two kinds of pictures: upright and flat bars."""
    rng = np.random.default_rng(0)

    def pictures(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count) % 2
        pixels = rng.integers(0, 40, (count, 28, 28), np.uint8)
        for picture, label in zip(pixels, labels, strict=True):
            place = rng.integers(10, 16)
            picture[(slice(4, 24), slice(place, place + 4))[:: 1 if label else -1]] = 255
        return pixels, labels

    train, test = pictures(128), pictures(40)
    np.savez(
        tmp_path / "mnist.npz",
        train_images=train[0],
        train_labels=train[1],
        test_images=test[0],
        test_labels=test[1],
    )
    return tmp_path


def test_zooming_out_keeps_the_middle_and_fills_with_black() -> None:
    picture = torch.ones(2, 3, 30, 30)
    shrunk = zoomed_out(picture, torch.tensor([1.0, 3.0]))
    torch.testing.assert_close(shrunk[0], picture[0])
    assert float(shrunk[1].sum()) == pytest.approx(3 * 10 * 10)
    torch.testing.assert_close(shrunk[1, :, 10:20, 10:20], torch.ones(3, 10, 10))


def test_shares_are_uniform_from_three_tenths_to_one() -> None:
    pictures = ImageTensors(torch.ones(400, 3, 40, 40), torch.zeros(400, dtype=torch.long))
    sides = scale_task(pictures, seed=0).images[:, 0].sum(dim=(1, 2)).sqrt() / 40
    assert 0.28 <= float(sides.min()) < 0.33
    assert 0.97 < float(sides.max()) <= 1
    assert float(sides.mean()) == pytest.approx(0.65, abs=0.03)
    again = scale_task(pictures, seed=0).images
    assert torch.equal(again, scale_task(pictures, seed=0).images)


def test_classes_come_in_turn(images: Path) -> None:
    found = load_images("mnist", images, "train", 6)
    assert found.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert found.images.shape == (6, 3, 28, 28)


def test_a_case_learns_is_measured_and_is_not_run_twice(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale_training, "MEASURED", 2)
    case = Case("mnist", "small,width=4", epochs=12, train=128, test=40, batch=16)
    result = run_case(case, images, tmp_path / "out")
    assert result["accuracies"][0] > 0.8
    assert result["zooms"] == list(ZOOMS)
    assert result["errors"][0] == pytest.approx(0, abs=1e-9)
    assert all(error > 1e-6 for error in result["errors"][1:])
    monkeypatch.setattr(scale_training, "fit", lambda *_: pytest.fail("trained again"))
    assert run_case(case, images, tmp_path / "out") == json.loads(json.dumps(result))
    assert "small,width=4" in table([result])


def test_each_epoch_zooms_each_image_anew(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []

    def noted(pictures: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        seen.append(factors)
        return zoomed_out(pictures, factors)

    monkeypatch.setattr(scale_training, "zoomed_out", noted)
    case = Case("mnist", "small,width=2", epochs=3, batch=32)
    model = scale_training.Classifier(scale_training.load(case.model))
    scale_training.fit(model, load_images("mnist", images, "train", 64), case)
    drawn = torch.cat(seen)
    assert len(drawn) == 3 * 64 == len(drawn.unique())
    assert 1 <= float(drawn.min()) < float(drawn.max()) <= 1 / 0.3 + 1e-5


def test_a_sweep_varies_one_thing_at_a_time() -> None:
    groups = sweep("mnist", "dss-small", epochs=1)
    assert set(groups) == {"base", "width", "interaction", "scales", "rate"}
    assert [case.model for case in groups["base"]] == [
        "dss-small,base=1.2", "dss-small,base=1.6", "dss-small,base=2",
    ]  # fmt: skip
    assert len({case.file for cases in groups.values() for case in cases}) == sum(
        map(len, groups.values())
    )


def test_what_is_missing_or_unknown_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"mnist\.npz"):
        load_images("mnist", tmp_path, "train", 1)
    with pytest.raises(UsageError, match="did you mean mnist"):
        load_images("mnits", tmp_path, "train", 1)
