"""The extractor gives the features of the plain forward pass, whatever the runtime."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
import pytest
import torch

from vos.backbones import Backbone, inference, runtime
from vos.backbones.inference import FeatureExtractor, fold_batch_norm
from vos.errors import MissingError, UsageError

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 61, 83, 3), dtype=np.uint8)

needs_onnx = pytest.mark.skipif(
    not runtime.onnx_available(), reason="the extra onnx is not installed"
)


def plain(backbone: Backbone, frames: np.ndarray = FRAMES) -> torch.Tensor:
    images = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        return backbone(images)


def assert_same(features: torch.Tensor, expected: torch.Tensor, relative: float = 1e-5) -> None:
    assert features.shape == expected.shape
    assert features.dtype == torch.float32
    assert (features - expected).abs().max() <= relative * expected.abs().max()


@pytest.mark.parametrize(
    "spec",
    [
        "lab",
        "resnet18,head=8,output=head",
        "resnet50,layer=2",
        "unet-short-64,stride=4",
        "timm:resnet18,pretrained=false",
        "torchvision:mobilenet_v2,pretrained=false",
    ],
)
def test_equals_the_plain_forward(spec: str, lived_in: Callable[[str], Backbone]) -> None:
    backbone = lived_in(spec)
    expected = plain(backbone)
    extract = FeatureExtractor(backbone)
    assert_same(extract(FRAMES), expected)
    assert_same(extract(list(FRAMES)), expected)
    assert torch.equal(plain(backbone), expected), "the backbone itself was changed"


def test_folding_leaves_no_batch_norm_in_a_resnet(lived_in: Callable[[str], Backbone]) -> None:
    network = fold_batch_norm(lived_in("resnet18"))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("spec", ["resnet18,layer=2", "unet-short-64,stride=4"])
def test_onnx_equals_the_plain_forward(spec: str, lived_in: Callable[[str], Backbone]) -> None:
    backbone = lived_in(spec)
    extract = FeatureExtractor(backbone, runtime="onnx")
    assert_same(extract(FRAMES), plain(backbone))
    smaller = np.ascontiguousarray(FRAMES[:, :40])
    assert_same(extract(smaller), plain(backbone, smaller))
    assert extract.runtime == "onnx"


def test_onnx_without_its_extra_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, lived_in: Callable[[str], Backbone]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match=r"pip install 'vos-propagation\[onnx\]'"):
        FeatureExtractor(lived_in("lab"), runtime="onnx")


@pytest.mark.parametrize("mistake", ["raises", "differs", "other shape"])
def test_a_runtime_that_goes_wrong_is_left(
    mistake: str, monkeypatch: pytest.MonkeyPatch, lived_in: Callable[[str], Backbone]
) -> None:
    def broken(network: torch.nn.Module) -> runtime.Runtime:
        if mistake == "raises":
            raise RuntimeError("no compiler after all")
        if mistake == "differs":
            return lambda images: network(images) * 1.001
        return lambda images: network(images)[..., 1:]

    monkeypatch.setattr(inference, "compiled_runtime", broken)
    monkeypatch.setattr(inference, "compile_available", lambda device: True)
    backbone = lived_in("resnet18,layer=1,stride=4")
    extract = FeatureExtractor(backbone, runtime="compile")
    assert_same(extract(FRAMES), plain(backbone))
    assert extract.runtime == "eager"


def test_a_compiled_network_is_used_though_it_has_no_truth_value(
    monkeypatch: pytest.MonkeyPatch, lived_in: Callable[[str], Backbone]
) -> None:
    """What torch.compile returns raises when it is asked for its length."""
    asked: list[torch.Size] = []

    class Compiled(torch.nn.Module):
        def __init__(self, network: torch.nn.Module) -> None:
            super().__init__()
            self.network = network

        def __len__(self) -> int:
            raise TypeError("does not support len()")

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            asked.append(images.shape)
            return self.network(images)

    monkeypatch.setattr(inference, "compiled_runtime", Compiled)
    monkeypatch.setattr(inference, "compile_available", lambda device: True)
    backbone = lived_in("lab")
    extract = FeatureExtractor(backbone, runtime="compile")
    assert_same(extract(FRAMES), plain(backbone))
    assert extract.runtime == "compile" and len(asked) == 2


def test_auto_warms_up_only_for_many_frames(
    monkeypatch: pytest.MonkeyPatch, lived_in: Callable[[str], Backbone]
) -> None:
    monkeypatch.setattr(inference, "compile_available", lambda device: True)
    monkeypatch.setattr(inference, "onnx_available", lambda: False)
    backbone = lived_in("lab")
    chosen = [FeatureExtractor(backbone, frame_count=count).runtime for count in (None, 50, 10**5)]
    assert chosen == ["eager", "eager", "compile"]
    monkeypatch.setattr(inference, "onnx_available", lambda: True)
    assert FeatureExtractor(backbone, frame_count=10**4).runtime == "onnx"
    assert FeatureExtractor(backbone, precision="bfloat16", frame_count=500).runtime == "eager"


def test_compile_without_a_compiler_is_eager(
    monkeypatch: pytest.MonkeyPatch, lived_in: Callable[[str], Backbone]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert FeatureExtractor(lived_in("lab"), runtime="compile").runtime == "eager"


def test_lower_precision_comes_back_as_float32(lived_in: Callable[[str], Backbone]) -> None:
    backbone = lived_in("resnet18,layer=1,stride=4")
    features = FeatureExtractor(backbone, precision="bfloat16")(FRAMES)
    assert_same(features, plain(backbone), relative=0.05)


@pytest.mark.parametrize(
    "frames",
    [
        FRAMES.astype(np.float32),
        FRAMES[0],
        FRAMES[..., :2],
        [],
        [FRAMES[0], FRAMES[1, 1:]],
    ],
)
def test_frames_of_another_kind_are_refused(
    frames: object, lived_in: Callable[[str], Backbone]
) -> None:
    with pytest.raises(UsageError):
        FeatureExtractor(lived_in("lab"))(frames)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"runtime": "onx"}, "did you mean onnx"),
        ({"precision": "float17"}, "did you mean float16"),
        ({"runtime": "onnx", "precision": "float16"}, "float32"),
    ],
)
def test_choices_that_make_no_sense(
    options: dict[str, str], words: str, lived_in: Callable[[str], Backbone]
) -> None:
    with pytest.raises(UsageError, match=words):
        FeatureExtractor(lived_in("lab"), **options)
