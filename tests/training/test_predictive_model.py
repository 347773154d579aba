"""Cross-view prediction through the loop: what is predicted, that it learns, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional

import vos
from vos.errors import UsageError
from vos.training import TrainConfig, load_config, train
from vos.training.predictive import PredictiveModel

BACKBONE = "cmc-alexnet,stem=5,stem_stride=2,width=0.25,hidden=0,pool=1,dim=4"


def config_for(clips_folder: Path, *settings: str) -> TrainConfig:
    config = load_config(
        "cmc-alexnet",
        [
            "steps=40", "batch=4", "crop.size=30", "log_every=1", "objective.name=predictive",
            f"model.backbone={BACKBONE}", "optimiser.warm_up=1", "optimiser.rate=3e-3", *settings,
        ],
    )  # fmt: skip
    config.data.paths = [str(clips_folder)]
    return config


@torch.no_grad()
def test_each_view_is_predicted_from_the_map_of_the_other(clips_folder: Path) -> None:
    """Written out with a loop over tokens, at a side that is no multiple of the stride of 8."""
    model = PredictiveModel(vos.load(BACKBONE, seed=1), config_for(clips_folder)).eval()
    crops = torch.randint(0, 256, (1, 2, 3, 30, 30), dtype=torch.uint8)
    (images,) = model.prepare(crops, 0, range(2))
    for decoder in model.decoders:
        torch.nn.init.normal_(decoder.weight)
    expected = 0.0
    for (one, other), decoder in zip([(0, 1), (1, 0)], model.decoders, strict=True):
        view = model.backbone.views[other].compute(images[0])
        found = decoder(model.backbone.maps(one, images[0], 5))
        whole = torch.zeros(2, view.shape[1], 32, 32)
        for row in range(4):
            for column in range(4):
                cell = found[:, :, row, column].view(2, -1, 8, 8)
                whole[:, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = cell
        expected += float(functional.mse_loss(whole[:, :, :30, :30], view))
    assert float(model(images)["loss"]) == pytest.approx(expected, rel=1e-5)


def test_it_learns(clips_folder: Path, tmp_path: Path) -> None:
    run = train(config_for(clips_folder), tmp_path / "run", device="cpu")
    lines = (run.run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert 0 < run.metrics["explained"] <= 1
    assert vos.load(run.weights).channels == 64


def test_what_has_one_view_or_none_is_refused(clips_folder: Path) -> None:
    for spec in ("resnet18", f"{BACKBONE},views=L"):
        with pytest.raises(UsageError, match="at least two views"):
            PredictiveModel(vos.load(spec), config_for(clips_folder, f"model.backbone={spec}"))
