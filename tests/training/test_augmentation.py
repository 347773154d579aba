"""Un-warping undoes warping; `roll` takes each pixel to each place equally often."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from vos.errors import UsageError
from vos.training.augmentation import MODES, Draw, draw, unwarp, unwarp_validity, warp


def smooth_images(batch: int, height: int, width: int) -> torch.Tensor:
    """Low frequencies that fit the torus, (B, 2, H, W)."""
    y = torch.arange(height)[:, None] / height * 2 * torch.pi
    x = torch.arange(width)[None, :] / width * 2 * torch.pi
    image = torch.stack([torch.sin(x) + torch.cos(y), torch.cos(x + y)])
    return image.expand(batch, 2, height, width)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("size", [(40, 40), (37, 52), (64, 48)])
def test_unwarp_undoes_warp_on_a_smooth_image(mode: str, size: tuple[int, int]) -> None:
    images = smooth_images(6, *size)
    drawn = draw(mode, 6, size, generator())
    back = unwarp(warp(images, drawn), drawn, size)
    valid = unwarp_validity(images.shape, drawn, size)[:, None].expand_as(back)
    assert valid.float().mean() > 0.7
    assert (back - images)[valid].abs().max() < 0.03


def test_none_changes_nothing() -> None:
    images = torch.rand(2, 3, 10, 12, generator=generator())
    drawn = draw("none", 2, (10, 12), generator())
    torch.testing.assert_close(warp(images, drawn), images, atol=1e-5, rtol=0)


def test_the_shift_is_numpys_roll() -> None:
    images = torch.rand(2, 3, 9, 11, generator=generator())
    shift = torch.tensor([[2.0, 5.0], [8.0, 1.0]])
    drawn = Draw(torch.eye(2, 3).repeat(2, 1, 1), shift)
    warped = warp(images, drawn)
    for index, (rows, columns) in enumerate([(2, 5), (8, 1)]):
        expected = images[index].roll((rows, columns), (1, 2))
        torch.testing.assert_close(warped[index], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(unwarp(warped, drawn, (9, 11)), images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("mode", ["affine", "roll"])
def test_zeros_beyond_the_frame_are_what_the_published_code_has(mode: str) -> None:
    """Roll, sample, network, sample back, roll back, written out with zero padding."""
    size = (20, 24)
    images = torch.rand(6, 3, *size, generator=generator())
    drawn = draw(mode, 6, size, generator(4), strength=0.2)
    network = torch.nn.Conv2d(3, 5, 3, padding=1)
    found = unwarp(network(warp(images, drawn, "zeros")), drawn, size, "zeros")
    for index, (rows, columns) in enumerate(drawn.shift.long().tolist()):
        whole = torch.eye(3)
        whole[:2] = drawn.matrix[index]
        rolled = images[index : index + 1].roll((rows, columns), (2, 3))
        there = functional.affine_grid(whole[None, :2], [1, 1, *size], align_corners=False)
        back = functional.affine_grid(whole.inverse()[None, :2], [1, 1, *size], align_corners=False)
        features = network(functional.grid_sample(rolled, there, align_corners=False))
        expected = functional.grid_sample(features, back, align_corners=False)
        expected = expected.roll((-rows, -columns), (2, 3))[0]
        torch.testing.assert_close(found[index], expected, rtol=1e-3, atol=1e-4)
    assert (found == 0).all(dim=1).any()


def test_tokens_of_any_stride_come_back() -> None:
    """Average pooling is equivariant on smooth images, up to the bilinear error of two axes."""
    images = smooth_images(5, 64, 64)
    drawn = draw("roll", 5, (64, 64), generator(3))
    features = functional.avg_pool2d(warp(images, drawn), 8)
    back = unwarp(features, drawn, (64, 64))
    valid = unwarp_validity(features.shape, drawn, (64, 64))[:, None].expand_as(back)
    assert (back - functional.avg_pool2d(images, 8))[valid].abs().max() < 0.16


def test_roll_takes_each_pixel_to_each_place_equally_often() -> None:
    drawn = draw("roll", 30_000, (5, 7), generator())
    places = (drawn.shift[:, 0] * 7 + drawn.shift[:, 1]).long().bincount(minlength=35)
    expected = 30_000 / 35
    chi_squared = ((places - expected) ** 2 / expected).sum()
    assert chi_squared < 65  # 99.9 % of the distribution with 34 degrees of freedom


def test_half_of_the_affine_maps_are_inverses() -> None:
    """A map and its inverse are equally likely: the logarithm of the area averages to nothing."""
    matrix = draw("affine", 20_000, (8, 8), generator()).matrix
    area = torch.linalg.det(matrix[:, :, :2]).log()
    assert area.mean().abs() < 0.002
    assert 0.04 < (matrix[:, 0, 0] - 1).std() < 0.06
    assert draw("affine", 3, (8, 8), generator()).shift.abs().max() == 0


def test_validity_marks_what_the_map_pushed_out() -> None:
    zoomed_out = torch.tensor([[[2.0, 0, 0], [0, 2.0, 0]]])  # the image fills the middle quarter
    zoomed_in = torch.tensor([[[0.5, 0, 0], [0, 0.5, 0]]])  # only the middle is seen
    shape = torch.Size((1, 1, 8, 8))
    still = torch.zeros(1, 2)
    assert unwarp_validity(shape, Draw(zoomed_out, still), (64, 64)).all()
    inside = unwarp_validity(shape, Draw(zoomed_in, still), (64, 64))[0]
    assert inside.sum() == 16
    assert inside[2:6, 2:6].all()


def test_gradients_pass_through_both() -> None:
    images = torch.rand(2, 3, 16, 16, requires_grad=True)
    drawn = draw("roll", 2, (16, 16), generator())
    unwarp(warp(images, drawn), drawn, (16, 16)).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_unknown_mode_offers_near_names() -> None:
    with pytest.raises(UsageError, match="did you mean roll"):
        draw("rol", 1, (8, 8), generator())
