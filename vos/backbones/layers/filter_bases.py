"""Bases of small filters together with their turned and mirrored forms."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from vos.backbones.layers.groups import Group

RING_WIDTH = 0.6  # pixels: standard deviation of a ring across its radius


@cache
def filter_basis(group: Group, size: int) -> Tensor:
    """Return filters of ``size x size`` that span what may be learnt, acted on by each element.

    Where the group takes pixels to pixels (C1, C2, C4, D4) every filter is allowed, so the basis
    is one pixel each. Otherwise (C8) filters are rings times circular harmonics, which have a
    value at any angle: "General E(2)-Equivariant Steerable CNNs" (Weiler and Cesa, NeurIPS 2019).
    Frequencies are cut at twice the radius, above which pixels could not tell them apart.

    Returns:
        (order, basis, size, size) float32 on the CPU; row ``g`` is ``psi(g^-1 x)`` of each
        function ``psi``, all of unit norm in row 0.
    """
    with torch.device("cpu"):  # whatever the default device is: it is kept for all
        return _pixels(group, size) if group.on_grid else _harmonics(group, size)


def _pixels(group: Group, size: int) -> Tensor:
    single = torch.eye(size * size).view(size * size, size, size)
    return torch.stack([group.act_on_grid(single, element) for element in range(group.order)])


def _harmonics(group: Group, size: int) -> Tensor:
    half = (size - 1) / 2
    place = torch.arange(size, dtype=torch.float64) - half
    x, y = place[None, :].expand(size, size), -place[:, None].expand(size, size)
    forms = []
    for element in range(group.order):
        (a, b), (c, d) = group.matrix(element)
        # psi(g^-1 x); the inverse of an orthogonal matrix is its transpose.
        forms.append(_functions(a * x + c * y, b * x + d * y, int(half)))
    basis = torch.stack(forms)
    norms = basis[0].flatten(1).norm(dim=1)
    return (basis / norms[None, :, None, None]).float()


def _functions(x: Tensor, y: Tensor, radius: int) -> Tensor:
    """Return rings 0, 1, ..., radius times harmonics, at places (x, y): (basis, size, size)."""
    length, angle = torch.hypot(x, y), torch.atan2(y, x)
    found = [torch.exp(-0.5 * (length / RING_WIDTH) ** 2)]
    for ring in range(1, radius + 1):
        profile = torch.exp(-0.5 * ((length - ring) / RING_WIDTH) ** 2)
        found.append(profile)
        # At the centre the angle means nothing: harmonics vanish there.
        profile = torch.where(length > 1e-9, profile, 0.0)
        for frequency in range(1, 2 * ring + 1):
            found.append(profile * torch.cos(frequency * angle))
            found.append(profile * torch.sin(frequency * angle))
    return torch.stack(found)


def gaussian_taps(sigma: float, *, even: bool) -> Tensor:
    """Return ``2 round(3 sigma) + 1`` Gaussian taps (one less at half pixels) that sum to 1."""
    reach = max(1, round(3 * sigma))
    place = torch.arange(-reach, reach + (0 if even else 1), dtype=torch.float64)
    taps = torch.exp(-0.5 * ((place + (0.5 if even else 0.0)) / sigma) ** 2)
    return (taps / taps.sum()).float()
