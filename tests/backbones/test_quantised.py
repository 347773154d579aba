"""8-bit features are those of the network, nearly; where they cannot be, float32 is used."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

import vos
from vos.backbones import inference, runtime, weights_digest
from vos.backbones.checkpoint import save_checkpoint, shipped_checkpoints
from vos.backbones.inference import FeatureExtractor
from vos.backbones.quantised import QUANTISED_NAME, quantise
from vos.errors import UsageError
from vos.settings import DEFAULT_MODEL

needs_onnx = pytest.mark.skipif(
    not runtime.onnx_available(), reason="the extra onnx is not installed"
)


def scene(seed: int, size: tuple[int, int] = (96, 136)) -> np.ndarray:
    """Smooth blobs with an edge through them, (H, W, 3) uint8."""
    noise = np.random.default_rng(seed).normal(size=(*size, 3))
    blobs = gaussian_filter(noise, (6, 6, 0)) * 12 + gaussian_filter(noise, (1, 1, 0))
    blobs[:, size[1] // 2 :] += 0.7
    return (255 / (1 + np.exp(-blobs))).astype(np.uint8)


def cosines(features: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    return functional.cosine_similarity(features, expected, dim=1)


def test_shipped_weights_run_in_8_bits_unless_float32_is_asked_for() -> None:
    backbone = vos.load(DEFAULT_MODEL)
    frames = np.stack([scene(1), scene(2)])
    exact = FeatureExtractor(backbone, precision="float32")
    rounded = FeatureExtractor(backbone, precision="auto")
    features, expected = rounded(frames), exact(frames)
    assert (exact.precision, rounded.precision) == ("float32", "int8")
    assert features.shape == expected.shape
    assert cosines(features, expected).mean() > 0.995
    assert not torch.equal(features, expected)
    # What is not learnt is not rounded: the last 140 channels are the descriptor of colour.
    torch.testing.assert_close(features[:, -140:], expected[:, -140:])
    alone = rounded(frames[1:])
    assert torch.equal(alone[:, :-140], features[1:, :-140])
    torch.testing.assert_close(alone, features[1:])


def test_frames_of_another_size() -> None:
    extract = FeatureExtractor(vos.load(DEFAULT_MODEL), precision="int8")
    for size in ((96, 136), (61, 83)):
        assert extract(scene(3, size)[None]).shape[2:] == (-(-size[0] // 8), -(-size[1] // 8))
    assert extract.precision == "int8"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(shipped_checkpoints()[DEFAULT_MODEL], tmp_path / "copy"))


def test_other_weights_are_not_taken_for_those_of_the_file(copy: Path) -> None:
    backbone = vos.load(copy)
    with torch.no_grad():
        next(backbone.parameters()).add_(1e-3)
    assert FeatureExtractor(backbone, precision="auto").precision == "float32"
    with pytest.raises(UsageError, match=r"int8\.onnx: use float32"):
        FeatureExtractor(backbone, precision="int8")


def test_a_damaged_file_is_left_alone(copy: Path) -> None:
    (copy / QUANTISED_NAME).write_bytes(b"not a network")
    assert FeatureExtractor(vos.load(copy), precision="auto").precision == "float32"


def test_features_that_are_too_far_off_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "LEAST_COSINE", 0.99999)
    backbone = vos.load(DEFAULT_MODEL)
    extract = FeatureExtractor(backbone, precision="int8")
    expected = FeatureExtractor(backbone, precision="float32")(scene(5)[None])
    assert torch.equal(extract(scene(5)[None]), expected)
    assert extract.precision == "float32"


def test_options_that_the_file_does_not_know_end_in_float32(copy: Path) -> None:
    backbone = vos.load(f"{copy},output=head")
    extract = FeatureExtractor(backbone, precision="auto")
    expected = FeatureExtractor(backbone, precision="float32")(scene(4)[None])
    torch.testing.assert_close(extract(scene(4)[None]), expected)
    assert extract.precision == "float32"


@needs_onnx
def test_any_checkpoint_can_be_quantised(tmp_path: Path, lived_in) -> None:
    folder = save_checkpoint(tmp_path / "mine", lived_in("resnet18,layer=2"))
    backbone = vos.load(folder)
    assert FeatureExtractor(backbone, precision="auto").precision == "float32"
    frames = [scene(seed) for seed in range(6)]
    quantise(backbone, weights_digest(backbone), frames, folder / QUANTISED_NAME)
    assert os.fsencode(Path(vos.__file__).parent) not in (folder / QUANTISED_NAME).read_bytes()
    again = vos.load(folder)
    extract = FeatureExtractor(again, precision="auto")
    unseen = scene(9)[None]
    expected = FeatureExtractor(again, precision="float32")(unseen)
    assert cosines(extract(unseen), expected).mean() > 0.99
    assert extract.precision == "int8"


@needs_onnx
@pytest.mark.parametrize(
    ("spec", "frames", "message"),
    [("lab", [scene(0)], "no learnt part"), ("resnet18,layer=2", [], "no frames")],
)
def test_what_cannot_be_quantised(tmp_path: Path, spec: str, frames, message: str) -> None:
    backbone = vos.load(spec)
    with pytest.raises(UsageError, match=message):
        quantise(backbone, weights_digest(backbone), frames, tmp_path / QUANTISED_NAME)
    assert not any(tmp_path.iterdir())
