"""The measure of equivariance tells exact, approximate and broken layers apart."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.backends import cudnn
from torch.nn import functional

import vos
from vos.analysis.equivariance import (
    EXACT,
    NETWORK,
    first_broken,
    frame_side,
    layer_names,
    measure,
    record,
    summary,
)
from vos.analysis.equivariance_report import (
    load_squares,
    report_equivariance,
    verdict,
    violated_symmetries,
)
from vos.analysis.transformations import Transformation
from vos.backbones import Backbone, Equivariance
from vos.errors import MissingError, UsageError
from vos.media.images import write_image

QUARTER = Transformation("rotation", 90)
MIRROR = Transformation("mirror", 1)


class Known(Backbone):
    """Features with a known equivariance: the picture itself, blurred or shifted or not."""

    def __init__(self, change) -> None:
        super().__init__()
        self.stride, self.channels, self.change = 1, 3, change
        self.equivariance = Equivariance("any", True, "moves", "nothing")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.change(images)


def smooth(side: int, count: int = 1) -> torch.Tensor:
    """Pictures without detail finer than a few pixels."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(count, 3, -(-side // 8), -(-side // 8), generator=generator)
    return functional.interpolate(noise, (side, side), mode="bicubic").clamp(0, 1)


def test_the_picture_itself_is_exact_under_everything() -> None:
    found = measure(Known(lambda images: images).eval(), smooth(64))
    assert {item.kind for item in found} == {"zoom", "rotation", "mirror", "translation", "roll"}
    assert max(item.inside for item in found if item.inside is not None) < 1e-10


@pytest.mark.parametrize("shift", [1, 3])
def test_a_shift_that_does_not_turn_with_the_picture_is_measured_right(shift: int) -> None:
    """Phi(f) = f moved right: after a quarter turn it moves another way, and the formula says
    by how much."""
    backbone = Known(lambda images: images.roll(shift, -1)).eval()
    images = smooth(64)
    (found,) = measure(backbone, images, [QUARTER], margin=8)
    moved = torch.rot90(images.roll(shift, -1), 1, (-2, -1)).double()
    other = torch.rot90(images, 1, (-2, -1)).roll(shift, -1).double()
    inside = (..., slice(8, -8), slice(8, -8))
    expected = (moved - other)[inside].square().sum() / moved[inside].square().sum()
    assert found.inside == pytest.approx(float(expected), rel=1e-6)


def test_positive_angles_turn_as_rot90_does() -> None:
    images = smooth(64)
    for degrees in (90, 180, 270):
        exact = Transformation("rotation", degrees).apply(images, 1, (64, 64))
        assert torch.equal(exact, torch.rot90(images, degrees // 90, (-2, -1)))
        nearly = Transformation("rotation", degrees + 1e-3).apply(images, 1, (64, 64))
        torch.testing.assert_close(
            nearly[..., 4:-4, 4:-4], exact[..., 4:-4, 4:-4], atol=1e-3, rtol=0
        )


def test_border_is_reported_apart() -> None:
    """Zero padding spoils a shift at the border and nowhere else."""
    weight = torch.full((3, 3, 5, 5), 0.1)
    backbone = Known(lambda images: functional.conv2d(images, weight, padding=2)).eval()
    (found,) = measure(backbone, smooth(64), [Transformation("translation", 4)], margin=12)
    assert found.inside < 1e-12
    assert found.border > 1e-4


@pytest.mark.parametrize(
    ("spec", "exact", "not_exact"),
    [
        ("rotation-unet-c8,width=8", ("quarter turns",), ("mirror", "rotation", "zoom")),
        ("rotation-unet-d4,width=8", ("quarter turns", "mirror"), ("rotation", "zoom")),
        ("rotation-unet-c4,width=8,output=regular,features=3", ("quarter turns",), ("mirror",)),
        ("rotation-unet-d4,width=8,output=regular,features=3", ("quarter turns", "mirror"), ()),
        ("rotation-unet-c8,width=8,output=vector,features=3", ("quarter turns",), ("mirror",)),
        ("rotation-unet-d4,width=8,output=vector,features=3", ("quarter turns", "mirror"), ()),
        ("rotation-unet-c1,width=8,levels=2,border=circular", ("roll by a token",), ("rotation",)),
        ("lab", ("shift by a token", "roll by a token"), ("zoom", "rotation")),
    ],
)
def test_networks_are_as_exact_as_they_are(
    spec: str, exact: tuple[str, ...], not_exact: tuple[str, ...]
) -> None:
    backbone = vos.load(spec)
    side = frame_side(backbone, 80)
    chosen = [QUARTER, Transformation("rotation", 30), MIRROR, Transformation("zoom", 1.5)]
    chosen += [Transformation(kind, backbone.stride) for kind in ("translation", "roll")]
    worst = summary(measure(backbone, smooth(side), chosen))
    for name in exact:
        assert verdict(worst[name]) == "exact", (name, worst)
    for name in not_exact:
        assert worst[name] > EXACT, (name, worst)
    assert violated_symmetries(backbone, smooth(side)) == {}


@pytest.mark.parametrize("layer", ["lift.0", "down.1.1.body.0", "down.2.0"])
def test_a_planted_broken_layer_is_named(layer: str) -> None:
    backbone = vos.load("rotation-unet-d4,width=16")
    parent, _, name = layer.rpartition(".")
    right = backbone.get_submodule(layer)
    if layer == "down.2.0":  # an antialiased pool in place of which someone takes every second
        broken: nn.Module = EverySecond()
    else:
        plain = right.as_plain()
        plain.weight.data[0] += 0.1 * torch.randn_like(plain.weight.data[0])
        broken = plain
    setattr(backbone.get_submodule(parent), name, broken)
    images = smooth(64)
    assert violated_symmetries(backbone, images) == {"quarter turns": layer, "mirror": layer}
    if layer != "down.2.0":  # at odd sizes every second is symmetric
        images = smooth(frame_side(backbone, 64))
        found = measure(backbone, images, [QUARTER], layers=4, margin=0)
        errors = {item.layer: item.inside for item in found}
        assert errors[NETWORK] > EXACT
        assert errors[layer] > EXACT
        assert errors["normalise"] < EXACT


class EverySecond(nn.Module):
    """Down-sampling that is not symmetric at even sizes."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features[..., ::2, ::2]


def test_all_layers_of_whole_networks_keep_quarter_turns() -> None:
    for spec in ("rotation-unet-c8,width=8", "rotation-resnet18-c8,width=8,layer=2,stride=4"):
        assert first_broken(vos.load(spec), smooth(64), QUARTER) is None
    assert first_broken(vos.load("rotation-unet-c1,width=8"), smooth(64), QUARTER) == "lift.0"


def test_layers_are_recorded_in_order_and_by_levels() -> None:
    backbone = vos.load("rotation-unet-c4,width=8,levels=2,stride=1")
    names = layer_names(backbone, 1)
    assert names == ["normalise", "lift", "down.0", "down.1", "upsample", "up.0", "up.1", "head"]
    assert "down.0.1.body" in layer_names(backbone, 3)
    assert layer_names(backbone, 0) == []
    recorded = record(backbone, smooth(32), names)
    assert [item.name for item in recorded] == [
        "normalise", "lift", "down.0", "down.1", "upsample", "up.1", "upsample (2)", "up.0",
        "head", NETWORK,
    ]  # fmt: skip
    assert {item.fields.kind for item in recorded[1:-2]} == {"regular"}
    lifted = record(vos.load("dss-small,width=4"), smooth(32), ["layers"])[0]
    assert lifted.output.shape == (1, 16, 8, 8)


@pytest.mark.parametrize(("spec", "side"), [("resnet18", 97), ("lab", 112), ("small", 97)])
def test_frames_put_tokens_symmetrically(spec: str, side: int) -> None:
    backbone = vos.load(spec)
    assert frame_side(backbone, 112) == side
    with pytest.raises(UsageError, match="too small"):
        frame_side(backbone, 15)
    with pytest.raises(UsageError, match="squares of side"):
        measure(backbone, torch.rand(1, 3, side - 2, side - 2))


def test_a_trained_scale_space_is_measured_at_every_zoom() -> None:
    backbone = vos.load("dss-small,width=4")
    side = frame_side(backbone, 96)
    zooms = [Transformation("zoom", factor) for factor in (1.0, 1.5, 3.0)]
    found = measure(backbone, smooth(side, 2), zooms, layers=1)
    network = [item for item in found if item.layer == NETWORK]
    assert network[0].inside == pytest.approx(0, abs=1e-12)
    assert 0 < network[1].inside < network[2].inside


def test_the_report_is_written_whole(tmp_path: Path) -> None:
    write_image(
        tmp_path / "in" / "a.png", np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    )
    report = report_equivariance(
        "rotation-unet-c4,width=4,levels=2", images=[tmp_path / "in"], side=48, count=3
    )
    report.save(tmp_path / "out")
    told = json.loads((tmp_path / "out" / "equivariance.json").read_text())
    assert told["says"]["group"] == "rotation C4"
    assert told["images"] == 1
    assert verdict(told["summary"]["quarter turns"]) == "exact"
    with (tmp_path / "out" / "equivariance.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(told["measurements"])
    angles = {float(row["amount"]) for row in rows if row["kind"] == "rotation"}
    assert angles == {float(angle) for angle in range(0, 360, 15)}
    zooms = [
        float(row["amount"]) for row in rows if (row["kind"], row["layer"]) == ("zoom", NETWORK)
    ]
    assert zooms == [1, 1.1, 1.5, 2, 2.5, 3]
    assert all(math.isfinite(float(row["inside"])) for row in rows if row["layer"] == NETWORK)
    assert (tmp_path / "out" / "equivariance.png").stat().st_size > 10_000


def test_images_that_are_not_there_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no image at"):
        load_squares([tmp_path / "none.png"], 1, 32)
    with pytest.raises(MissingError, match="no image in"):
        load_squares([tmp_path], 1, 32)


def test_layers_are_recorded_in_full_precision() -> None:
    seen = []

    class Told(nn.Module):
        stride, channels = 1, 3

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append((cudnn.allow_tf32, torch.get_float32_matmul_precision()))
            return images

    before = cudnn.allow_tf32, torch.get_float32_matmul_precision()
    record(Told(), smooth(16), [])
    assert seen == [(False, "highest")]
    assert (cudnn.allow_tf32, torch.get_float32_matmul_precision()) == before
