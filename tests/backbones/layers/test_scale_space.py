"""Scale spaces: lifting, scale convolutions and pooling do what their formulas say."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from vos.backbones.layers.deformable import DeformableScaleConv
from vos.backbones.layers.scale_conv import EachScale, ScaleConv, ScaleNorm, stretched
from vos.backbones.layers.scale_space import (
    BilinearLift,
    GaussianLift,
    ScalePool,
    ScaleSpace,
    discrete_gaussian,
    max_pool_to,
)
from vos.errors import UsageError


def maps_of(count: int, channels: int = 3, side: int = 33) -> list[torch.Tensor]:
    return [torch.randn(2, channels, side, side, dtype=torch.double) for _ in range(count)]


def test_blurring_twice_is_blurring_by_the_sum_of_variances() -> None:
    one, two, both = (discrete_gaussian(t).double() for t in (0.7, 1.9, 2.6))
    twice = functional.conv1d(
        one.view(1, 1, -1), two.view(1, 1, -1).flip(-1), padding=len(two) - 1
    ).flatten()
    reach = min(len(twice), len(both)) // 2
    middle, other = len(twice) // 2, len(both) // 2
    torch.testing.assert_close(
        twice[middle - reach : middle + reach + 1],
        both[other - reach : other + reach + 1],
        rtol=0,
        atol=1e-4,
    )
    place = torch.arange(len(both)) - other
    assert float((both * place**2).sum()) == pytest.approx(2.6, rel=1e-2)


def test_lifting_blurs_by_the_variance_of_the_source() -> None:
    space = ScaleSpace(2.0, 3)
    impulse = torch.zeros(1, 1, 65, 65)
    impulse[..., 32, 32] = 1
    place = torch.arange(65.0) - 32
    for scale, blurred in enumerate(GaussianLift(space, zero_scale=0.8)(impulse)):
        variance = float((blurred.sum(-2).flatten() * place**2).sum())
        assert variance == pytest.approx(0.64 * (2 ** (2 * scale) - 1), rel=0.02, abs=1e-6)
        assert float(blurred.sum()) == pytest.approx(1)


def test_a_pyramid_has_the_sizes_it_says() -> None:
    maps = BilinearLift(ScaleSpace(1.5, 3, lifting="bilinear"))(torch.rand(1, 3, 30, 47))
    assert [tuple(item.shape[2:]) for item in maps] == [(30, 47), (20, 32), (14, 21)]


@pytest.mark.parametrize("base", [2, 3])
@pytest.mark.parametrize("interaction", [1, 2])
def test_zooming_out_by_a_whole_base_commutes_exactly(base: int, interaction: int) -> None:
    """``f_s(x) -> f_{s+1}(base x)`` before or after: the same, border and last scales apart."""
    space = ScaleSpace(float(base), 4, interaction)
    layer = ScaleConv(3, 2, space).double()

    def zoom(maps: list[torch.Tensor]) -> list[torch.Tensor]:
        return [item[..., ::base, ::base] for item in maps[1:]]

    maps = maps_of(4, side=6 * base**3 + 1)
    first, last = layer(zoom(maps)), zoom(layer(maps))
    for scale in range(4 - interaction):
        border = base**scale
        inside = (..., slice(border, -border), slice(border, -border))
        torch.testing.assert_close(first[scale][inside], last[scale][inside])


def test_a_scale_convolution_is_the_sum_that_defines_it() -> None:
    space = ScaleSpace(1.5, 3, 2)
    layer = ScaleConv(2, 1, space).double()
    maps = maps_of(3, channels=2)
    found = layer(maps)[1]
    # Samples at 1.5 pixels from the centre by bilinear interpolation, tap by tap.
    expected = torch.zeros_like(found[:, :, 4:-4, 4:-4])
    for part in range(2):
        source = maps[1 + part]
        for row in range(3):
            for column in range(3):
                y, x = 1.5 * (row - 1), 1.5 * (column - 1)
                moved = sum(
                    (1 - abs(y - dy)) * (1 - abs(x - dx)) * source.roll((-dy, -dx), (-2, -1))
                    for dy in range(-2, 3)
                    for dx in range(-2, 3)
                    if abs(y - dy) < 1 and abs(x - dx) < 1
                )
                weight = layer.weight[:, 2 * part : 2 * part + 2, row, column]
                expected += torch.einsum("oc,bcyx->boyx", weight, moved)[..., 4:-4, 4:-4]
    torch.testing.assert_close(found[..., 4:-4, 4:-4], expected)


def test_base_1_2_is_not_silently_base_1() -> None:
    """With whole dilations, base 1.2 and four scales would be four times the same filter."""
    filters = torch.randn(1, 1, 3, 3)
    sizes = [stretched(filters, 1.2**scale).shape[-1] for scale in range(4)]
    assert sizes == [3, 5, 5, 5]
    second, third = stretched(filters, 1.2), stretched(filters, 1.44)
    assert not torch.allclose(second, third)
    place = torch.arange(-2.0, 3.0)
    corner = torch.zeros(1, 1, 3, 3)
    corner[..., 1, 2] = 1
    assert float((stretched(corner, 1.44)[0, 0].sum(0) * place).sum()) == pytest.approx(1.44)
    torch.testing.assert_close(stretched(filters, 1.0), filters)


def test_norm_and_point_wise_layers_treat_all_scales_alike() -> None:
    maps = [torch.randn(2, 3, side, side) * side for side in (8, 5)]
    normed = ScaleNorm(3).train()(maps)
    values = torch.cat([item.flatten(2) for item in normed], dim=2)
    torch.testing.assert_close(values.mean((0, 2)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(values.var((0, 2), correction=0), torch.ones(3))
    layer = EachScale(torch.nn.Conv2d(3, 4, 1))
    assert torch.equal(layer(maps)[1], layer.layer(maps[1]))


@pytest.mark.parametrize(("length", "side"), [(7, 3), (8, 4), (5, 5), (3, 7), (13, 6)])
def test_max_pooling_to_a_size_is_the_adaptive_one(length: int, side: int) -> None:
    maps = torch.randn(2, 3, length, 9)
    expected = functional.adaptive_max_pool2d(maps, (side, 4))
    assert torch.equal(max_pool_to(max_pool_to(maps, side, -2), 4, -1), expected)


def test_pooling_averages_maps_max_pooled_to_the_smallest() -> None:
    space = ScaleSpace(2.0, 2, lifting="bilinear")
    maps = [torch.randn(1, 2, 8, 8), torch.randn(1, 2, 4, 4)]
    expected = (functional.max_pool2d(maps[0], 2) + maps[1]) / 2
    torch.testing.assert_close(ScalePool(space)(maps, (4, 4)), expected)


@pytest.mark.parametrize("space", [ScaleSpace(2.0, 2, 2), ScaleSpace(1.5, 2), ScaleSpace(scales=1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_deformable_convolution_starts_as_the_undeformed_one(
    space: ScaleSpace, stride: int
) -> None:
    layer = DeformableScaleConv(3, 4, space, stride=stride).double()
    plain = ScaleConv(3, 4, space, stride=stride).double()
    plain.weight.data.copy_(layer.weight.data)
    maps = maps_of(space.scales, side=21)
    inside = (..., slice(3, -3), slice(3, -3))  # beyond the border one interpolates, one does not
    for found, expected in zip(layer(maps), plain(maps), strict=True):
        torch.testing.assert_close(found[inside], expected[inside])


def test_offsets_move_the_taps_in_units_of_the_dilation() -> None:
    space = ScaleSpace(2.0, 2)
    layer = DeformableScaleConv(1, 1, space, offsets="shared").double()
    maps = [maps_of(1, 1)[0]] * 2
    plain = [item.detach() for item in layer(maps)]
    # A constant offset of one unit down: as if the picture had moved up by base ** s.
    bias = torch.zeros(18, dtype=torch.double)
    bias[0::2] = 1
    layer.branch.register_forward_hook(lambda *_: [bias.view(1, -1, 1, 1).expand(2, -1, 33, 33)])
    inside = (..., slice(6, -6), slice(6, -6))
    for scale, item in enumerate(layer(maps)):
        moved = plain[scale].roll(-(2**scale), -2)
        torch.testing.assert_close(item[inside], moved[inside])


def test_offsets_learn() -> None:
    layer = DeformableScaleConv(3, 4, ScaleSpace(2.0, 2))
    sum(item.square().sum() for item in layer([torch.randn(1, 3, 9, 9)] * 2)).backward()
    assert layer.branch.weight.grad is not None
    assert layer.branch.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ScaleSpace(base=1.0), "above 1"),
        (lambda: ScaleSpace(scales=0), "1 to 8 scales"),
        (lambda: ScaleSpace(scales=2, interaction=3), "between 1 and the number of scales, 2"),
        (lambda: ScaleSpace(lifting="cubic"), "known: gaussian, bilinear"),
        (lambda: ScaleConv(1, 1, ScaleSpace(), 4), "odd size"),
        (lambda: GaussianLift(ScaleSpace(), 0.0), "zero_scale"),
        (lambda: DeformableScaleConv(1, 1, ScaleSpace(), offsets="mine"), "known: own, shared"),
        (
            lambda: DeformableScaleConv(1, 1, ScaleSpace(lifting="bilinear"), offsets="shared"),
            "maps of one size",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make()
