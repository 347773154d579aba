"""Loading by name: determinism, options, and one clear line for every mistake."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch

import vos
from vos.backbones import Backbone, build, families, family, hub, registry
from vos.errors import MissingError, UsageError


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hub, "reachable", lambda *_: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))


def test_the_seed_decides_random_weights() -> None:
    first, again, other = (vos.load("resnet18", seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["stem.0.weight"], other["stem.0.weight"])


def test_loading_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    vos.load("resnet18", seed=9)
    assert torch.equal(torch.rand(3), expected)


def test_options_follow_the_name() -> None:
    backbone = vos.load("resnet18,stride=4,layer=2")
    assert (backbone.stride, backbone.channels) == (4, 128)
    assert backbone.recipe is not None
    assert backbone.recipe.options["layer"] == 2


def test_build_gives_a_network_to_train() -> None:
    assert build("resnet18", head=8, output="head").training


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("resnet19", "did you mean resnet18"),
        ("unet-shrt-64", "unet-short-64"),
        ("quite-else", "known: "),
        ("resnet18,strid=4", "did you mean stride?"),
        ("resnet18,stride=four", "must be of type int"),
        ("resnet18,stride", "key=value"),
        ("resnet18,stride=5", "stride 4, 8, 16 or 32"),
        ("resnet18,layer=9", "layers 1 to 4"),
        ("resnet18,layer=1,stride=8", "stride 4 at most"),
        ("resnet18,output=head", "needs a head"),
        ("resnet18,output=tail", "known: layer, head"),
        ("unet-short-64,stride=3", "stride 1, 2, 4"),
        ("unet-short-64,center=perhaps", "true or false"),
        ("lab,patch=9", "patch must be"),
        ("dss-resnet18,base=1", "must be above 1"),
        ("dss-resnet18,interaction=4", "between 1 and the number of scales, 3"),
        ("dss-resnet18,layer=1", "layer 1 has stride 4 at most"),
        ("dss-v2-resnet18,base=2", "more than 8 pixels per cell"),
        ("deformable-resnet18,deformed=4", "between 0 and the 3 stages"),
        ("dss-small,width=0", "width must be at least 1"),
        ("timm:", "timm:MODEL"),
        ("timm:vit_tiny_patch16_225", "did you mean"),
        ("timm:mixer_s32_224,pretrained=false", "one size only"),
        ("timm:vit_tiny_patch16_224,pretrained=false,layer=40", "layers 1 to 12"),
        ("torchvision:resnet19", "did you mean resnet18"),
        ("torchvision:resnet18,weights=V9", "IMAGENET1K_V1"),
        ("torchvision:swin_t,pretrained=false", "try timm:swin_t"),
        ("./no/such/folder", "no checkpoint folder ./no/such/folder"),
    ],
)
def test_mistakes_get_one_line_that_helps(spec: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        vos.load(spec)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("timm:vit_small_patch8_224.dino", "timm:vit_small_patch8_224.dino,pretrained=false"),
        ("someone/some-model", "cannot get someone/some-model from the hub"),
        ("hf:someone/some-model", "cannot be reached"),
    ],
)
def test_missing_weights_fail_soon_without_a_network(
    spec: str, words: str, no_network: None
) -> None:
    start = time.monotonic()
    with pytest.raises(MissingError) as caught:
        vos.load(spec)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 30, "retried instead of giving up"


def test_torchvision_weights_name_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import urllib.error

    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    monkeypatch.setitem(os.environ, "TORCH_HOME", str(tmp_path))
    with pytest.raises(MissingError, match=r"no route to host.*pretrained=false"):
        vos.load("torchvision:resnet18")


def test_reachable_is_quick_to_say_no() -> None:
    assert not hub.reachable("http://127.0.0.1:9", seconds=1)


def test_a_family_of_ones_own_is_known_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_FAMILIES", dict(registry._FAMILIES))
    vos.load("lab")  # all families of vos are known by now

    @family("my-patches", "patches of my own")
    def mine(stride: int = 4) -> Backbone:
        return build("lab", stride=stride)

    assert families()["my-patches"].description == "patches of my own"
    assert vos.load("my-patches").stride == 4
    assert vos.load("my-patches,stride=2").stride == 2
    with pytest.raises(UsageError, match="did you mean my-patches"):
        vos.load("my-patch")


def test_every_file_of_families_is_found() -> None:
    folder = Path(registry.__file__).parent / "families"
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    builders = [getattr(member.build, "func", member.build) for member in families().values()]
    assert files == {builder.__module__.rpartition(".")[2] for builder in builders}
