"""Weights in the layouts of CRW, VFS, DUL and the three DINOs give the features of their networks.

The layouts (names, prefixes, wrappers) are those of the code they publish: CRW wraps torchvision's
ResNet as ``encoder.model``, DUL as ``fast_net.backbone``, VFS has mmcv's ConvModules, and DINO
keeps student and teacher beside its arguments. DINOv2 and DINOv3 name registers, biases and scales
otherwise than timm.
"""

from __future__ import annotations

import argparse
import copy
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

import vos
from vos.backbones.families.resnet import ResNet, stem_and_stages
from vos.errors import MissingError, UsageError, VosError

IMAGES = torch.rand(1, 3, 64, 96)


def with_prefix(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in weights.items()}


def as_mmcv(name: str) -> str:
    name = re.sub(r"\bconv(\d)\.", r"conv\1.conv.", name)
    name = re.sub(r"\bbn(\d)\.", r"conv\1.bn.", name)
    return name.replace("downsample.0", "downsample.conv").replace("downsample.1", "downsample.bn")


def behind_padding(name: str) -> str:
    """CRW trained with PyTorch 1.3, where padding by reflection was a layer of its own."""
    return re.sub(r"(layer\d\.\d\.conv\d)\.weight", r"\1.1.weight", name)


@pytest.fixture(scope="module")
def resnet() -> torchvision.models.ResNet:
    torch.manual_seed(0)
    network = torchvision.models.resnet18()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
    return network.eval()


@pytest.mark.parametrize(
    ("method", "spec", "layer", "padding"),
    [
        ("crw", "resnet18,padding=reflect", 3, "reflect"),
        ("crw-1.3", "resnet18", 3, "zeros"),
        ("vfs", "resnet18", 3, "zeros"),
        ("dul", "resnet18,layer=4", 4, "zeros"),
        ("torchvision", "torchvision:resnet18", 3, "zeros"),
    ],
)
def test_a_published_resnet_gives_its_features(
    resnet: torchvision.models.ResNet,
    tmp_path: Path,
    method: str,
    spec: str,
    layer: int,
    padding: str,
) -> None:
    weights = {name: item for name, item in resnet.state_dict().items() if "fc" not in name}
    contents = {
        "crw": {
            "model": with_prefix("encoder.model.", weights)
            | {"selfsim_fc.0.weight": torch.rand(128, 512)},
            "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]},
            "args": argparse.Namespace(temp=0.05),
        },
        "crw-1.3": {
            "model": {f"encoder.model.{behind_padding(name)}": it for name, it in weights.items()}
        },
        "vfs": {
            "meta": {"epoch": 100, "config": "model = dict()"},
            "state_dict": {f"backbone.{as_mmcv(name)}": it for name, it in weights.items()}
            | {"img_head.fc.weight": torch.rand(4, 4)},
        },
        "dul": {
            "model": with_prefix("module.fast_net.backbone.", weights)
            | {"module.fast_net.emb_q.conv1.weight": torch.rand(512, 512, 1, 1)},
            "score": np.float64(0.69),
            "epoch": 60,
        },
        "torchvision": resnet.state_dict(),
    }
    path = tmp_path / f"{method}.pth"
    torch.save(contents[method], path)
    backbone = vos.load(f"{path},family={spec}")
    parts = [stem_and_stages(copy.deepcopy(resnet), layer) for _ in range(2)]
    expected = ResNet(*parts[0], stride=8, padding=padding).eval()
    torch.testing.assert_close(backbone(IMAGES), expected(IMAGES))
    other = ResNet(*parts[1], padding="reflect").eval()(IMAGES)
    assert torch.equal(backbone(IMAGES), other) == (padding == "reflect")


@pytest.mark.parametrize("layout", ["backbone", "full", "safetensors"])
def test_a_published_transformer_gives_its_tokens(tmp_path: Path, layout: str) -> None:
    torch.manual_seed(0)
    peer = timm.create_model("vit_tiny_patch16_224", num_classes=0).eval()
    weights = peer.state_dict()
    path = tmp_path / ("dino.safetensors" if layout == "safetensors" else "dino.pth")
    if layout == "safetensors":
        save_file(weights, path)
    elif layout == "backbone":
        torch.save(weights, path)
    else:
        student = {name: torch.zeros_like(item) for name, item in weights.items()}
        torch.save(
            {
                "student": with_prefix("module.backbone.", student),
                "teacher": with_prefix("backbone.", weights) | {"head.mlp.0.bias": torch.rand(9)},
                "args": argparse.Namespace(arch="vit_tiny"),
            },
            path,
        )
    backbone = vos.load(f"{path},family=timm:vit_tiny_patch16_224")
    images = torch.rand(1, 3, 224, 224)
    tokens = peer.forward_features(backbone.normalise(images))[:, 1:]
    torch.testing.assert_close(backbone(images), tokens.transpose(1, 2).unflatten(2, (14, 14)))

    folder = vos.backbones.save_checkpoint(tmp_path / "kept", backbone)
    path.unlink()  # a checkpoint stands without the file that it came from
    torch.testing.assert_close(vos.load(folder)(images), backbone(images))


def as_dinov2(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The class token has a position of its own, which timm adds to it."""
    place = torch.rand(1, 1, 384)
    return {name: item for name, item in weights.items() if name != "reg_token"} | {
        "cls_token": weights["cls_token"] - place,
        "pos_embed": torch.cat([place, weights["pos_embed"]], dim=1),
        "register_tokens": weights["reg_token"],
        "mask_token": torch.zeros(1, 384),
    }


def as_dinov3(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """One bias for queries, keys and values, that of keys behind a mask."""
    published = {"mask_token": torch.zeros(1, 384), "rope_embed.periods": torch.rand(16)}
    for name, item in weights.items():
        if name.endswith("q_bias"):
            values = weights[name.replace("q_bias", "v_bias")]
            bias = name.replace("q_bias", "qkv.bias")
            published[bias] = torch.cat([item, torch.rand(384), values])
            published[f"{bias}_mask"] = torch.ones(1152)
        elif not name.endswith("v_bias"):
            name = re.sub(r"gamma_(\d)", r"ls\1.gamma", name)
            published[name.replace("reg_token", "storage_tokens")] = item
    return published


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "layout", "size"),
    [
        ("vit_small_patch14_reg4_dinov2", as_dinov2, (56, 84)),
        ("vit_small_patch16_dinov3_qkvb", as_dinov3, (64, 96)),
    ],
)
def test_the_later_dinos_give_their_tokens(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    model: str,
    layout: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    size: tuple[int, int],
) -> None:
    torch.manual_seed(0)
    peer = timm.create_model(model, num_classes=0, dynamic_img_size=True).eval()
    with torch.no_grad():
        for parameter in peer.parameters():  # biases and scales begin with nothing
            parameter.add_(0.1 * torch.randn_like(parameter))
    path = tmp_path / "pretrain.pth"
    torch.save(layout(peer.state_dict()), path)
    backbone = vos.load(f"{path},family=timm:{model}")
    images = torch.rand(1, 3, *size)
    tokens = peer.forward_features(backbone.normalise(images))[:, 5:]
    grid = (size[0] // backbone.stride, size[1] // backbone.stride)
    torch.testing.assert_close(backbone(images), tokens.transpose(1, 2).unflatten(2, grid))
    if model.endswith("_qkvb"):
        vos.load(f"{path},family=timm:{model.removesuffix('_qkvb')}")
    assert capsys.readouterr().out == ""  # where results are printed, timm says nothing


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("was-run"),)


def test_nothing_in_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": RunsCode()}, "evil.pth")
    with pytest.raises(VosError, match=r"evil.pth holds an object of .* could run code"):
        vos.load("evil.pth,family=resnet18")
    assert not Path("was-run").exists()


@pytest.mark.parametrize(
    ("spec", "error", "says"),
    [
        ("tiny.pth", UsageError, "holds weights alone: say of what network, as in .*family=resnet"),
        ("no.pth,family=resnet18", MissingError, "there is no file of weights no.pth"),
        ("tiny.pth,family=resnet18", VosError, "holds no weights of resnet18: .* such as mine"),
        ("tiny.pth,family=timm:resnet18", VosError, "holds no weights of timm:resnet18"),
        ("tiny.pth,family=resnet19", UsageError, "did you mean resnet18"),
        ("junk.pth,family=resnet18", VosError, "no file of weights that PyTorch reads"),
        ("none.pth,family=resnet18", VosError, "holds no weights"),
        ("half.pth,family=resnet18", VosError, "lacks tensor"),
        ("wide.pth,family=resnet18,stride=4,layer=1", VosError, r"stem.0.weight is \(8, 3, 7, 7\)"),
    ],
)
def test_a_file_of_other_weights_is_told(
    resnet: torchvision.models.ResNet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spec: str,
    error: type[VosError],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"mine": torch.rand(3)}, "tiny.pth")
    torch.save({"epoch": 3}, "none.pth")
    Path("junk.pth").write_bytes(b"junk" * 100)
    weights = resnet.state_dict()
    torch.save({"conv1.weight": weights["conv1.weight"]}, "half.pth")
    torch.save({**weights, "conv1.weight": torch.rand(8, 3, 7, 7)}, "wide.pth")
    with pytest.raises(error, match=says) as told:
        vos.load(spec)
    assert "\n" not in str(told.value)
