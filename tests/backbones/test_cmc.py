"""Multiview backbones: the published shapes, maps side by side, z of each view, checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import vos
from vos.backbones import build, save_checkpoint
from vos.errors import UsageError

SMALL = "stem=5,stem_stride=2,width=0.25,hidden=32,dim=16"


def test_an_alexnet_half_is_the_published_one() -> None:
    backbone = vos.load("cmc-alexnet,stride=16")
    luminance, chrominance = backbone.encoders
    shapes = [tuple(value.shape) for value in luminance.parameters() if value.ndim == 4]
    widths = [48, 128, 192, 192, 128]
    assert [shape[0] for shape in shapes] == widths
    assert [shape[1] for shape in shapes] == [1, *widths[:-1]]
    assert [shape[2] for shape in shapes] == [11, 5, 3, 3, 3]
    assert next(chrominance.parameters()).shape[1] == 2
    assert luminance.strides == (4, 8, 16, 16, 16)
    head = [tuple(value.shape) for value in backbone.heads[0].parameters() if value.ndim == 4]
    assert head == [(2048, 128, 6, 6), (2048, 2048, 1, 1), (128, 2048, 1, 1)]


@pytest.mark.parametrize(("width", "channels"), [(0.5, 128), (1.0, 256), (2.0, 512)])
def test_resnets_have_a_width_a_view(width: float, channels: int) -> None:
    backbone = vos.load(f"cmc-resnet18,width={width}")
    images = torch.rand(1, 3, 32, 40)
    assert backbone.maps(0, images, 3).shape == (1, channels, 4, 5)
    assert backbone.channels == 2 * channels


@pytest.mark.parametrize(
    ("depth", "counts"),
    [(18, (5_686_336, 22_474_944, 89_439_424)), (50, (12_058_048, 47_531_200, 188_752_576))],
)
def test_resnets_have_the_published_weights_at_every_width(
    depth: int, counts: tuple[int, ...]
) -> None:
    """Two views and their projections, counted in the published code."""
    with torch.device("meta"):
        for width, count in zip((0.5, 1, 2), counts, strict=True):
            backbone = build(f"cmc-resnet{depth}", layer=4, stride=32, width=width)
            assert sum(value.numel() for value in backbone.parameters()) == count


def test_resnet_50_has_bottlenecks() -> None:
    backbone = vos.load("cmc-resnet50,width=0.25,layer=4,stride=16")
    assert (backbone.stride, backbone.channels) == (16, 2 * 512)


@pytest.mark.parametrize("family", ["cmc-alexnet", "cmc-resnet18"])
def test_the_output_is_the_maps_side_by_side(family: str) -> None:
    backbone = vos.load(f"{family},views=L+ab+edges,{SMALL}")
    images = torch.rand(2, 3, 33, 47)
    with torch.inference_mode():
        maps = [backbone.maps(index, images, backbone.layer) for index in range(3)]
        torch.testing.assert_close(backbone(images), torch.cat(maps, dim=1))
        only = vos.load(f"{family},views=L+ab+edges,{SMALL},use=edges+L")(images)
    torch.testing.assert_close(only, torch.cat([maps[2], maps[0]], dim=1))


def test_chrominance_sees_no_grey() -> None:
    backbone = vos.load(f"cmc-alexnet,{SMALL}")
    grey = torch.rand(1, 1, 32, 32).expand(1, 3, 32, 32)
    flat = torch.full((1, 3, 32, 32), 0.5)
    with torch.inference_mode():
        luminance, chrominance = (
            (backbone.maps(index, grey, 5) - backbone.maps(index, flat, 5)).abs().max()
            / backbone.maps(index, torch.rand(1, 3, 32, 32), 5).abs().max()
            for index in range(2)
        )
    assert chrominance < 1e-3
    assert luminance > 0.1


def test_z_has_length_one_and_is_the_token_where_there_is_one() -> None:
    backbone = vos.load(f"cmc-resnet18,{SMALL},pool=1,layer=4,stride=4")
    images = torch.rand(2, 3, 4, 4)
    with torch.inference_mode():
        z = backbone.embed(0, images)
        torch.testing.assert_close(z.norm(dim=1), torch.ones(2))
        torch.testing.assert_close(backbone.tokens(0, images)[:, :, 0, 0], z)
        dense = vos.load(f"cmc-resnet18,{SMALL},pool=1,stride=4,output=head")(images)
    assert dense.shape == (2, 32, 1, 1)


def test_normalisation_by_the_data_takes_its_mean_out() -> None:
    backbone = vos.load(f"cmc-alexnet,{SMALL},normalisation=data").train()
    images = 0.1 * torch.rand(8, 3, 8, 8)
    for _ in range(150):
        backbone.maps(0, images, 1)
    backbone.eval()
    view = backbone.scales[0](backbone.views[0].compute(images))
    assert float(view.mean()) == pytest.approx(0, abs=0.02)
    assert float(view.std()) == pytest.approx(1, abs=0.02)


def test_any_family_encodes_a_view() -> None:
    backbone = vos.load("cmc,encoder=resnet18;layer=1;stride=4,views=L+ab")
    assert (backbone.stride, backbone.channels) == (4, 128)
    one, two = (encoder.backbone.state_dict() for encoder in backbone.encoders)
    assert not torch.equal(one["stem.0.weight"], two["stem.0.weight"])
    again = vos.load("cmc,encoder=resnet18;layer=1;stride=4,views=L+ab")
    images = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(backbone(images), again(images))


def test_a_checkpoint_remembers_its_views_and_gives_other_layers(tmp_path: Path) -> None:
    backbone = vos.load(f"cmc-alexnet,views=L+edges,{SMALL}", seed=5)
    save_checkpoint(tmp_path / "run" / "weights", backbone)
    images = torch.rand(1, 3, 24, 24)
    with torch.inference_mode():
        torch.testing.assert_close(vos.load(str(tmp_path / "run"))(images), backbone(images))
    from vos.backbones import load_checkpoint

    with torch.inference_mode():
        third = load_checkpoint(tmp_path / "run" / "weights", layer="3", use="edges")(images)
        torch.testing.assert_close(third, backbone.maps(1, images, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("views=L+colour", "unknown view"),
        ("use=edges", "no view 'edges'"),
        ("stem=4", "must be odd"),
        ("stride=32", "stride 4, 8, 16"),
        ("layer=6", "layers 1 to 5"),
        ("output=head", "pool=1"),
        ("normalisation=mine", "unknown normalisation"),
    ],
)
def test_choices_that_make_no_sense(options: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        vos.load(f"cmc-alexnet,{options}")
