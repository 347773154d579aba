"""Every precision that may be chosen trains every objective on a processor."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from torch import nn

import vos
from vos.training import TrainConfig, load_config, train
from vos.training.precision import keep_in_float32, precision_on

SMALL = ["steps=2", "batch=2", "crop.size=16", "log_every=1", "data.gap=3", "ema=0.9"]
NETWORK = "model.backbone=resnet18,layer=1,stride=4,head=8,output=head"
VIEWS = "model.backbone=cmc-resnet18,stem=3,stem_stride=1,width=0.125,dim=8,stride=4"
OBJECTIVES = {
    "icon": ("icon-resnet18", [NETWORK, "objective.random_walk=1"]),
    "tokens": ("cmc-resnet18", [VIEWS, "objective.contrastive.negatives=16"]),
    "bank": ("cmc-alexnet", [VIEWS, "objective.contrastive.negatives=8"]),
}


def config_of(objective: str, precision: str, clips: Path) -> TrainConfig:
    name, settings = OBJECTIVES[objective]
    config = load_config(name, [*SMALL, *settings, "data.cache=memory", f"precision={precision}"])
    config.data.paths = [str(clips)]
    return config


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_sixteen_bits_train_to_nearly_the_loss_of_float32(
    objective: str, precision: str, clips_folder: Path, tmp_path: Path
) -> None:
    exact = train(config_of(objective, "32-true", clips_folder), tmp_path / "32", device="cpu")
    found = train(config_of(objective, precision, clips_folder), tmp_path / "16", device="cpu")
    assert found.steps == 2
    assert found.metrics["loss"] == pytest.approx(exact.metrics["loss"], rel=0.05)
    assert found.metrics["loss"] != exact.metrics["loss"]
    weights = vos.load(str(found.weights)).state_dict().values()
    assert {each.dtype for each in weights if each.is_floating_point()} == {torch.float32}


def test_float16_falls_back_on_a_processor(
    clips_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="vos"):
        trained = train(config_of("icon", "16-mixed", clips_folder), tmp_path / "r", device="cpu")
    assert "16-mixed needs a GPU" in caplog.text
    assert trained.steps == 2
    assert precision_on(torch.device("cuda"), "16-mixed") == "16-mixed"


def test_what_the_loss_holds_stays_in_float32() -> None:
    module = nn.Module()
    module.backbone, module.sphere = nn.Linear(2, 2), nn.Linear(2, 2)
    module.register_buffer("log_partition", torch.zeros(1))
    optimised = module.sphere.weight
    keep_in_float32(module.bfloat16(), but="backbone")
    assert module.backbone.weight.dtype is torch.bfloat16
    assert module.log_partition.dtype is module.sphere.weight.dtype is torch.float32
    assert module.sphere.weight is optimised
