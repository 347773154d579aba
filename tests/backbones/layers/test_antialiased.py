"""Antialiased sampling keeps turns exactly at odd and even sizes, and shifts nearly."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn import functional

from vos.backbones.layers.antialiased import BlurPool, MaxBlurPool, Upsample
from vos.errors import UsageError

SIZES = [(8, 8), (7, 7), (7, 10), (1, 1), (2, 3)]


def turned(maps: torch.Tensor, turns: int, mirror: bool) -> torch.Tensor:
    return torch.rot90(maps.flip(-1) if mirror else maps, turns, (-2, -1))


@pytest.mark.parametrize("border", ["replicate", "circular"])
@pytest.mark.parametrize("size", SIZES)
def test_turns_and_mirror_images_are_exact(border: str, size: tuple[int, int]) -> None:
    maps = torch.randn(1, 2, *size)
    for pool, (turns, mirror) in itertools.product(
        (BlurPool(1.0, border), MaxBlurPool(border=border)),
        itertools.product(range(4), (False, True)),
    ):
        small = pool(maps)
        assert small.shape[-2:] == (-(-size[0] // 2), -(-size[1] // 2))
        torch.testing.assert_close(pool(turned(maps, turns, mirror)), turned(small, turns, mirror))
        there = size if turns % 2 == 0 else size[::-1]
        up = Upsample(border)
        torch.testing.assert_close(
            up(turned(small, turns, mirror), there), turned(up(small, size), turns, mirror)
        )


@pytest.mark.parametrize("size", [(16, 16), (15, 17)])
def test_up_and_down_keep_places(size: tuple[int, int]) -> None:
    """A slope goes down and up again and is the slope it was, the border apart."""
    slope = torch.arange(size[1], dtype=torch.float).expand(1, 1, *size)
    again = Upsample()(BlurPool(0.66)(slope), size)
    torch.testing.assert_close(again[..., 4:-4], slope[..., 4:-4], rtol=1e-4, atol=1e-4)


def test_the_taps_are_those_of_the_source() -> None:
    pool = BlurPool(1.0)
    assert len(pool.odd) == 2 * round(3 * 1.0) + 1
    place = torch.arange(-3.0, 4.0)
    expected = torch.exp(-place.square() / 2)
    torch.testing.assert_close(pool.odd, expected / expected.sum())
    assert pool.even.sum() == pytest.approx(1)


@pytest.mark.parametrize("sigma", [0.6, 0.8, 1.0])
def test_max_pooling_has_wider_filters_as_in_the_source(sigma: float) -> None:
    assert len(MaxBlurPool(sigma).odd) == 2 * round(4 * sigma) + 1
    assert len(BlurPool(sigma).odd) == 2 * round(3 * sigma) + 1


def test_blur_makes_pooling_steadier_under_small_shifts() -> None:
    """One pixel of shift changes an antialiased pool less than a plain one."""
    maps = torch.randn(1, 8, 64, 64, generator=torch.Generator().manual_seed(0))

    def change(pool: torch.nn.Module) -> float:
        here, there = pool(maps), pool(maps.roll(1, dims=-1))
        between = (here + here.roll(1, dims=-1)) / 2  # half a token further
        return float((there - between).square().mean() / between.square().mean())

    plain, blurred = torch.nn.MaxPool2d(2), MaxBlurPool(1.0, "circular")
    assert change(blurred) < 0.5 * change(plain)


def test_rolls_by_two_pixels_are_exact_on_a_torus() -> None:
    maps = torch.randn(1, 2, 8, 12)
    for pool in (BlurPool(border="circular"), MaxBlurPool(border="circular")):
        small = pool(maps)
        rolled = pool(maps.roll((2, -4), dims=(-2, -1)))
        torch.testing.assert_close(rolled, small.roll((1, -2), dims=(-2, -1)))
        up = Upsample("circular")
        torch.testing.assert_close(
            up(small.roll((1, -2), dims=(-2, -1)), (8, 12)),
            up(small, (8, 12)).roll((2, -4), dims=(-2, -1)),
        )


def test_even_upsampling_is_the_bilinear_one() -> None:
    maps = torch.randn(1, 2, 5, 6)
    expected = functional.interpolate(maps, (10, 12), mode="bilinear", align_corners=False)
    torch.testing.assert_close(Upsample()(maps, (10, 12)), expected)


def test_a_sigma_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="sigma must be positive"):
        BlurPool(0.0)
