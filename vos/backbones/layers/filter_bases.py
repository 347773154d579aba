"""Bases of small filters together with their turned and mirrored forms."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from vos.backbones.layers.groups import Group

# Pixels: standard deviation of a ring across its radius; the last one ends with the filter.
RING_WIDTH, LAST_RING_WIDTH = 0.6, 0.4


@cache
def filter_basis(group: Group, size: int) -> Tensor:
    """Return filters of ``size x size`` that span what may be learnt, acted on by each element.

    Where the group takes pixels to pixels (C1, C2, C4, D4) every filter is allowed, so the basis
    is one pixel each. Otherwise (C8) filters are rings times circular harmonics, which have a
    value at any angle: "General E(2)-Equivariant Steerable CNNs" (Weiler and Cesa, NeurIPS 2019).
    Frequencies are cut where pixels could no longer tell them apart (see :func:`_highest`).

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
        width = LAST_RING_WIDTH if ring == radius else RING_WIDTH
        profile = torch.exp(-0.5 * ((length - ring) / width) ** 2)
        found.append(profile)
        # At the centre the angle means nothing: harmonics vanish there.
        profile = torch.where(length > 1e-9, profile, 0.0)
        for frequency in range(1, _highest(ring, radius) + 1):
            found.append(profile * torch.cos(frequency * angle))
            found.append(profile * torch.sin(frequency * angle))
    return torch.stack(found)


def _highest(ring: int, radius: int) -> int:
    """Return the highest frequency of a ring, as e2cnn chooses it.

    A harmonic of frequency 4 sampled too coarsely sums to one number on the axes and to another
    on the diagonals, so that a picture of one colour would be answered differently when turned.
    """
    return 2 if ring == radius else 2 * ring - (ring + 1) % 2


def gaussian_taps(sigma: float, *, even: bool, reach: float) -> Tensor:
    """Return Gaussian taps, out to ``reach`` (in pixels, rounded, at least 1), that sum to 1.

    There are ``2 reach + 1`` of them at pixels, or, where ``even``, one less between pixels.
    """
    reach = max(1, round(reach))
    place = torch.arange(-reach, reach + (0 if even else 1), dtype=torch.float64)
    taps = torch.exp(-0.5 * ((place + (0.5 if even else 0.0)) / sigma) ** 2)
    return (taps / taps.sum()).float()
