"""The folder of a run is a model for `vos eval`, with every contrastive backbone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import vos
from vos.backbones import save_checkpoint
from vos.datasets import Dataset, open_dataset
from vos.evaluation.evaluate import evaluate

BACKBONES = [
    "cmc-alexnet,width=0.25,hidden=32",
    "cmc-resnet18,width=0.25,views=L+ab+next-L",
    "cmc-resnet50,width=0.25,layer=2",
    "cmc,encoder=resnet18;layer=1;stride=4",
]


def check(dataset: Dataset, spec: str, folder: Path) -> None:
    save_checkpoint(folder / "run" / "weights", vos.load(spec))
    done = evaluate(
        dataset,
        folder / "out",
        model=str(folder / "run"),
        settings={"short_side": "64"},
        device=torch.device("cpu"),
        report=False,
    )
    assert 0 < done.record["J&F"] < 1


@pytest.mark.parametrize("spec", BACKBONES)
def test_on_the_sample(spec: str, tmp_path: Path) -> None:
    one = open_dataset("sample").sequences[0].name
    check(open_dataset("sample", sequences=[one]), spec, tmp_path)


@pytest.mark.parametrize("spec", BACKBONES)
def test_on_davis(spec: str, data_root: Path, tmp_path: Path) -> None:
    root = data_root / "davis-2016-dev"
    dataset = open_dataset("davis", root=root, year=2016, split="train", sequences=["dog-agility"])
    check(dataset, spec, tmp_path)
