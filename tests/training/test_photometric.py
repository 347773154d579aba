"""Colour changes do what they are named for, each image by its own draw."""

from __future__ import annotations

import torch

from vos.training.photometric import Photometric, apply_photometric, draw_photometric

IMAGES = torch.rand(4, 3, 24, 32, generator=torch.Generator().manual_seed(1)) * 0.5 + 0.25
STILL = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]).repeat(4, 1)
LUMA = torch.tensor([0.299, 0.587, 0.114])[:, None, None]


def changed(column: int, value: float) -> torch.Tensor:
    numbers = STILL.clone()
    numbers[:, column] = value
    return apply_photometric(IMAGES, numbers)


def test_nothing_drawn_changes_nothing() -> None:
    numbers = draw_photometric(Photometric(), 4, torch.Generator())
    torch.testing.assert_close(apply_photometric(IMAGES, numbers), IMAGES, atol=2e-5, rtol=0)


def test_brightness_scales() -> None:
    torch.testing.assert_close(changed(0, 0.5), IMAGES * 0.5, atol=2e-5, rtol=0)


def test_contrast_pulls_towards_the_mean_luminance() -> None:
    mean = (IMAGES * LUMA).sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True)
    expected = mean + 0.5 * (IMAGES - mean)
    torch.testing.assert_close(changed(1, 0.5), expected, atol=2e-5, rtol=0)


def test_saturation_zero_and_gray_leave_luminance_alone() -> None:
    expected = (IMAGES * LUMA).sum(dim=1, keepdim=True).expand_as(IMAGES)
    torch.testing.assert_close(changed(2, 0.0), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(changed(4, 1.0), expected, atol=1e-4, rtol=0)


def test_a_turn_of_hue_keeps_luminance_and_a_whole_turn_keeps_all() -> None:
    gentle = 0.5 + (IMAGES - 0.5) * 0.2  # far from the ends, so that nothing is cut off
    numbers = STILL.clone()
    numbers[:, 3] = 1.0
    turned = apply_photometric(gentle, numbers)
    assert (turned - gentle).abs().max() > 0.01
    torch.testing.assert_close((turned * LUMA).sum(1), (gentle * LUMA).sum(1), atol=1e-4, rtol=0)
    numbers[:, 3] = 2 * torch.pi
    torch.testing.assert_close(apply_photometric(gentle, numbers), gentle, atol=1e-4, rtol=0)


def test_blur_smooths_and_only_where_drawn() -> None:
    numbers = STILL.clone()
    numbers[2, 5] = 1.5
    blurred = apply_photometric(IMAGES, numbers)
    torch.testing.assert_close(blurred[[0, 1, 3]], IMAGES[[0, 1, 3]], atol=2e-5, rtol=0)
    assert blurred[2].std() < 0.5 * IMAGES[2].std()
    assert (blurred[2].mean() - IMAGES[2].mean()).abs() < 0.01


def test_draws_differ_between_images_and_stay_in_range() -> None:
    config = Photometric(0.4, 0.4, 0.4, 0.1, 0.3, 0.5)
    numbers = draw_photometric(config, 500, torch.Generator().manual_seed(0))
    assert numbers[:, :3].min() >= 0.6
    assert numbers[:, :3].max() <= 1.4
    assert numbers[:, 3].abs().max() <= 0.1 * 2 * torch.pi + 1e-6
    assert 0.2 < numbers[:, 4].mean() < 0.4
    assert 0.4 < (numbers[:, 5] > 0).float().mean() < 0.6
    assert numbers[:, 0].unique().numel() > 450
