"""Any network becomes a backbone: what is measured of it, and what is refused with a reason."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

import vos
from vos.backbones.layers.normalise import IMAGENET_MEAN, IMAGENET_STD
from vos.errors import UsageError

CODE = """
from torch import nn

def build(width: int = 8):
    return nn.Conv2d(3, width, 4, stride=4)

class Net(nn.Module):
    def __init__(self, width: int = 8):
        super().__init__()
        self.layer = build(width)

    def forward(self, images):
        return self.layer(images)

ready = build()
number = 5

def needs(width):
    return build(width)

def five():
    return 5
"""


class Transformer(nn.Module):
    """Patch tokens after a class token and two registers, as DINO's and DINOv2's networks."""

    def __init__(self, patch: int = 8) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, patch, stride=patch)
        self.extra = nn.Parameter(torch.zeros(1, 3, 12))

    def tokens(self, images: Tensor) -> Tensor:
        patches = self.patches(images).flatten(2).transpose(1, 2)
        return torch.cat([self.extra.expand(len(images), -1, -1), patches], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.tokens(images)[:, 0]


class Dino(Transformer):
    def get_intermediate_layers(self, images: Tensor, n: int) -> list[Tensor]:
        return [self.tokens(images)] * n


class Dinov2(Transformer):
    def forward_features(self, images: Tensor) -> dict[str, Tensor]:
        tokens = self.tokens(images)
        return {"x_norm_clstoken": tokens[:, 0], "x_norm_patchtokens": tokens[:, 3:]}


@pytest.mark.parametrize(("height", "width"), [(96, 160), (97, 161), (100, 155)])
@pytest.mark.parametrize("network", [Dino(), Dinov2(14), nn.Conv2d(3, 12, 8, stride=8)])
def test_the_map_covers_frames_of_any_size(network: nn.Module, height: int, width: int) -> None:
    backbone = vos.as_backbone(network)
    stride = 14 if isinstance(network, Dinov2) else 8
    assert (backbone.stride, backbone.channels) == (stride, 12)
    features = backbone(torch.rand(2, 3, height, width))
    assert features.shape == (2, 12, *backbone.grid(height, width))


def test_tokens_lie_where_their_patches_do() -> None:
    network = Dino()
    images = torch.rand(1, 3, 64, 96)
    backbone = vos.as_backbone(network, mean=(0, 0, 0), std=(1, 1, 1))
    torch.testing.assert_close(backbone(images), network.patches(images))


def test_rgb_is_normalised_as_said(caplog: pytest.LogCaptureFixture) -> None:
    images = torch.rand(1, 3, 8, 8)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    with caplog.at_level(logging.INFO, "vos"):
        plain = vos.as_backbone(lambda image: functional.avg_pool2d(image, 4))
    torch.testing.assert_close(plain(images), functional.avg_pool2d((images - mean) / std, 4))
    assert "4 pixels per token, 3 channels" in caplog.text and "mean 0.485" in caplog.text
    half = vos.as_backbone(nn.AvgPool2d(4), mean=(0.5,) * 3, std=(0.5,) * 3)
    torch.testing.assert_close(half(images), functional.avg_pool2d(2 * images - 1, 4))


def test_a_timm_model_tells_its_normalisation_and_its_features() -> None:
    model = timm.create_model("vit_tiny_patch16_224", dynamic_img_size=True).eval()
    backbone = vos.as_backbone(model)
    images = torch.rand(1, 3, 64, 96)
    tokens = model.forward_features((images - 0.5) / 0.5)[:, 1:]
    torch.testing.assert_close(backbone(images), tokens.transpose(1, 2).unflatten(2, (4, 6)))


def test_a_backbone_stays_itself() -> None:
    backbone = vos.load("lab")
    assert vos.as_backbone(backbone) is backbone


def test_networks_without_weights_are_told_apart() -> None:
    """Else a run of the one would go on with the results of the other."""

    def pooled(size: int) -> Callable[[Tensor], Tensor]:
        return lambda images: functional.avg_pool2d(images, size)

    def with_weights(layer: nn.Module) -> Callable[[Tensor], Tensor]:
        return lambda images: layer(images)

    layers = [nn.Conv2d(3, 4, 4, stride=4) for _ in range(2)]
    networks = [
        nn.AvgPool2d(4),
        nn.AvgPool2d(8),
        nn.MaxPool2d(4),
        pooled(4),
        pooled(8),
        lambda images: functional.max_pool2d(images, 4),
        *map(with_weights, layers),
    ]
    digests = [vos.backbones.weights_digest(vos.as_backbone(each)) for each in networks]
    assert len(set(digests)) == len(networks)
    assert digests == [vos.backbones.weights_digest(vos.as_backbone(each)) for each in networks]


@pytest.mark.parametrize("training", [True, False])
def test_measuring_leaves_the_network_in_its_mode(training: bool) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.BatchNorm2d(4)).train(training)
    vos.as_backbone(network)
    assert network.training is training
    assert network[1].num_batches_tracked == 0


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (torchvision.models.resnet18(), r"gives \(1, 1000\) .* cut its head off"),
        (torchvision.models.alexnet().features, r"\(1, 256, 6, 13\) .* no whole number of pixels"),
        (timm.create_model("vit_tiny_patch16_224"), "dynamic_img_size=True"),
        (nn.Conv2d, r"the class Conv2d, no network: give Conv2d\(...\)"),
        (5, "model is of type int"),
        (lambda images: "text", "gives str, no tensor"),
        (lambda images: {"a": images, "b": images}, "gives a, b: return one of them"),
        (lambda images: images.flatten(2).transpose(1, 2)[:, :50], "no patch size gives so many"),
    ],
)
def test_what_gives_no_feature_map_is_told(network: object, says: str) -> None:
    with pytest.raises(UsageError, match=says) as told:
        vos.as_backbone(network)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("values", [(0.5, 0.5), "half", (1, 1, 0)])
def test_mean_and_deviation_are_a_number_per_colour(values: object) -> None:
    with pytest.raises(UsageError, match="is a number per colour"):
        vos.as_backbone(nn.AvgPool2d(4), std=values)  # type: ignore[arg-type]


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_networks.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_networks", raising=False)


@pytest.mark.usefixtures("code")
@pytest.mark.parametrize(
    ("spec", "channels"),
    [("build", 8), ("build,width=5", 5), ("Net,width=6", 6), ("ready", 8), ("needs,width=3", 3)],
)
def test_a_network_of_ones_own_goes_by_its_module(spec: str, channels: int) -> None:
    before = list(sys.path)
    if spec.startswith("needs"):
        with pytest.raises(UsageError, match="my_networks:needs needs the option width"):
            vos.load("my_networks:needs")
        return
    backbone = vos.load(f"my_networks:{spec}")
    assert (backbone.stride, backbone.channels, backbone.training) == (4, channels, False)
    assert sys.path == before


@pytest.mark.usefixtures("code")
def test_random_weights_of_ones_own_follow_the_seed() -> None:
    first, again, other = (vos.load("my_networks:Net", seed=seed) for seed in (1, 1, 2))
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(first(image), again(image))
    assert not torch.equal(first(image), other(image))


@pytest.mark.usefixtures("code")
@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("my_networks:bild", "has no bild: did you mean build"),
        ("my_networks:number", "is of type int, no network and no function"),
        ("my_networks:five", "model is of type int"),
        ("my_networks:build,wdth=3", "has no option 'wdth': did you mean width"),
        ("my_networks:build,width=x", "width=x: the value must be of type int"),
        ("my_networks:ready,width=3", "is a network, which takes no option 'width'"),
        ("no_such_module:build", "there is no module no_such_module in "),
    ],
)
def test_a_spec_of_ones_own_that_is_wrong_is_told(spec: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as told:
        vos.load(spec)
    assert "\n" not in str(told.value)


def test_a_function_tells_where_its_network_is() -> None:
    network = nn.Conv2d(3, 8, 8, 8)
    for model in (network.forward, lambda images: network(images)):
        adapted = vos.as_backbone(model)
        adapted.check_device(torch.device("cpu"))
        with pytest.raises(UsageError, match=r"network is on cpu, .* computed on cuda"):
            adapted.check_device(torch.device("cuda"))
    vos.as_backbone(network).check_device(torch.device("cuda"))  # modules are moved
