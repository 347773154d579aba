"""Measure the pixel at which token 0 is centred: architecture alone does not tell."""

from __future__ import annotations

import copy

import torch

from vos.backbones.base import Backbone

_ROUNDS = 6
_CELLS = 12


def token_centre(backbone: Backbone) -> float:
    """Measure the pixel, in x and y, at which token 0 is centred: 0 or ``(stride - 1) / 2``.

    A convolution padded on all sides centres token ``i`` at pixel ``i * stride``; a network that
    cuts the frame into patches centres it in the middle of its cell; training can move the first
    to the second. So the centre of mass of the squared gradient of one token with respect to
    random images is measured, and the nearer of the two taken.
    """
    cell = (backbone.stride - 1) / 2
    if not cell:
        return 0.0
    # Copied: gradients, hooks and modes of the given network are left alone.
    network = copy.deepcopy(backbone).cpu().float().eval().requires_grad_(False)
    side = _CELLS * backbone.stride
    token = _CELLS // 2
    generator = torch.Generator().manual_seed(0)
    weight = torch.zeros(side, side)
    with torch.enable_grad():
        for _ in range(_ROUNDS):
            images = torch.rand(1, 3, side, side, generator=generator).requires_grad_()
            features = network(images)[0, :, token, token]
            (features * torch.randn(features.shape, generator=generator)).sum().backward()
            assert images.grad is not None
            weight += images.grad.square().sum((0, 1))
    place = torch.arange(side) - token * backbone.stride
    mean = float(((weight.sum(0) + weight.sum(1)) * place).sum() / (2 * weight.sum()))
    return cell if mean > cell / 2 else 0.0
