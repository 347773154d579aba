"""Colour beside learnt features: what products of the descriptors mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vos
from vos.backbones import save_checkpoint
from vos.backbones.layers import ColourDescriptor, scaled_lab
from vos.errors import UsageError


def _plain(colour: tuple[float, float, float], size: int = 16) -> torch.Tensor:
    return torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, size, size)


def test_descriptors_have_length_one_on_every_token_of_any_size() -> None:
    images = torch.rand(2, 3, 37, 53, generator=torch.Generator().manual_seed(0))
    features = ColourDescriptor(8)(images)
    assert features.shape == (2, ColourDescriptor.channels, 5, 7)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2, 5, 7))


def test_products_are_the_mean_of_a_cosine_and_of_a_gaussian_kernel() -> None:
    one, other = (0.6, 0.35, 0.2), (0.58, 0.37, 0.22)
    describe = ColourDescriptor(8)
    first, second = (describe(_plain(colour))[0, :, 0, 0] for colour in (one, other))
    lab = [scaled_lab(_plain(colour, 1)).flatten() for colour in (one, other)]
    cosine = torch.nn.functional.cosine_similarity(*lab, dim=0)
    kernel = torch.exp(-((lab[0] - lab[1]) ** 2).sum() / (2 * 0.1**2))
    expected = float(cosine + kernel) / 2
    # Sixteen random frequencies approach the kernel to about 1 / sqrt(16).
    assert float(first @ second) == pytest.approx(expected, abs=0.15)


def test_a_quarter_of_the_patch_counts_a_quarter() -> None:
    image = _plain((0.7, 0.2, 0.2), 8).clone()
    plain = ColourDescriptor(8)(image)[0, :, 0, 0]
    image[:, :, :4, :4] = torch.tensor([0.1, 0.3, 0.9]).view(1, 3, 1, 1)
    marked = ColourDescriptor(8)(image)[0, :, 0, 0]
    waves = slice(12, None)  # the kernel's half
    same, changed = float(plain[waves] @ plain[waves]), float(plain[waves] @ marked[waves])
    assert same == pytest.approx(0.5)
    assert changed == pytest.approx(0.75 * 0.5, abs=0.05)


def test_a_resnet_sets_colour_beside_its_layer_at_the_weight_asked_for() -> None:
    backbone = vos.load("resnet18,colour=0.7")
    plain = vos.load("resnet18")
    images = torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        features, layer = backbone(images), plain(images)
    assert backbone.channels == features.shape[1] == plain.channels + ColourDescriptor.channels
    learnt = torch.nn.functional.normalize(layer, dim=1)
    np.testing.assert_allclose(features[:, : plain.channels], learnt, atol=1e-6)
    np.testing.assert_allclose(features[:, plain.channels :].norm(dim=1), 0.7, rtol=1e-5)


def test_colour_of_a_checkpoint_survives_saving(tmp_path) -> None:  # type: ignore[no-untyped-def]
    backbone = vos.load("resnet18,colour=0.5,head=8,output=head")
    save_checkpoint(tmp_path / "run", backbone)
    again = vos.load(str(tmp_path / "run"))
    images = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        torch.testing.assert_close(again(images), backbone(images))
    assert again.channels == 8 + ColourDescriptor.channels


def test_a_negative_weight_and_an_odd_stride_are_refused() -> None:
    with pytest.raises(UsageError, match="colour must be a weight of 0 or more"):
        vos.load("resnet18,colour=-1")
    with pytest.raises(UsageError, match="multiple of 2"):
        ColourDescriptor(7)
