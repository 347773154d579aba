"""Each equivariant family does the whole walk: train, save, load, evaluate, export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import vos
from vos.backbones import weights_digest
from vos.datasets import Dataset, Sequence
from vos.datasets.clips import Clip
from vos.evaluation.evaluate import evaluate
from vos.export.portable import export_backbone
from vos.media import write_image, write_mask
from vos.training import load_config, train

SPECS = [
    "rotation-unet-c4,width=8,levels=2",
    "rotation-unet-c8,width=8,levels=2",
    "rotation-unet-d4,width=8,levels=2",
    "rotation-resnet18-c8,width=8,layer=1,stride=4",
    "dss-resnet18,width=4,layer=1,stride=4",
    "dss-resnet50,width=4,layer=1,stride=4",
    "dss-v2-resnet18,width=4,layer=1",
    "deformable-resnet18,width=4,layer=1,stride=4",
    "deformable-dss-resnet18,width=4,layer=1,stride=4",
    "dss-small,width=4",
]


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    """One clip of noise that drifts."""
    texture = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    frames = np.stack([np.roll(texture, (time, 2 * time), (0, 1)) for time in range(5)])
    return [Clip("noise", frames)]


@pytest.fixture
def scene(moving_scene, tmp_path: Path) -> Dataset:
    """One sequence of four small frames."""
    frames = tuple(tmp_path / "frames" / f"{index}.png" for index in range(4))
    masks = tuple(tmp_path / "truth" / f"{index}.png" for index in range(4))
    for index in range(4):
        frame, mask = moving_scene(index)
        write_image(frames[index], frame)
        write_mask(masks[index], mask)
    sequence = Sequence("scene", frames, masks, binary=False)
    return Dataset("davis-2017", tmp_path, "val", (sequence,))


@pytest.mark.parametrize("spec", SPECS)
def test_train_save_load_evaluate_export(
    spec: str, clips: list[Clip], scene: Dataset, tmp_path: Path
) -> None:
    settings = [
        f"model.backbone='{spec}'", "steps=2", "batch=2", "crop.size=32", "data.gap=2",
        "data.workers=1", "log_every=1", "checkpoint_every=2",
    ]  # fmt: skip
    trained = train(
        load_config("icon-roll-tiny", settings), tmp_path / "run", device="cpu", clips=clips
    )
    assert trained.metrics["loss"] > 0

    backbone = vos.load(trained.weights)
    untrained = vos.load(spec)
    assert weights_digest(backbone) != weights_digest(untrained)
    assert backbone.equivariance == untrained.equivariance
    images = torch.rand(1, 3, 33, 40)
    with torch.inference_mode():
        assert torch.equal(backbone(images), vos.load(str(trained.weights))(images))

    record = evaluate(
        scene,
        tmp_path / "masks",
        model=str(trained.weights),
        device=torch.device("cpu"),
        report=False,
    ).record
    assert 0 <= record["J&F"] <= 1

    told = export_backbone(backbone, tmp_path / "net.pt2", (33, 40), spec=spec)
    assert told["difference"] < 1e-4
