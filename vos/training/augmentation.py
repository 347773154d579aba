"""Warp the image, run the network, un-warp the features: the augmentations of ICON.

A network that is equivariant does not notice. One that writes the position of a pixel into its
features is punished, because the features arrive at another position in every draw. How hard
depends on which positions a draw can reach: see :data:`MODES`.

Each image lives on a torus: what leaves on one side comes back on the other, so that shifts
lose nothing, and shift and affine map are composed into one resampling. With the border ``zeros``
the shift alone is cyclic, as in the published code: what the affine map takes from beyond the
frame is zero.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from vos.errors import UsageError, near_names

MODES = {
    "none": "no warp: a constant vector a pixel is a perfect and useless solution",
    "affine": "small affine warps: matches between near places only are learnt in the end",
    "center": "affine, and the mean of each pixel's features over the batch is taken away",
    "roll": "affine after a cyclic shift, which takes each pixel to each place equally often",
}


class Draw:
    """One draw of the augmentation for each of B images.

    Mixed precision rounds the tensors of every container that it knows, dataclasses included; this
    is a plain class, so that places stay exact.

    Attributes:
        matrix: (B, 2, 3) takes places in the warped image to places in the shifted image, in
            coordinates from -1 to 1 over the image (``grid_sample``, ``align_corners=False``).
        shift: (B, 2), the cyclic shift (rows, columns) in pixels, before the affine map.
    """

    def __init__(self, matrix: Tensor, shift: Tensor) -> None:
        self.matrix, self.shift = matrix, shift

    def __getitem__(self, part: slice) -> Draw:
        return Draw(self.matrix[part], self.shift[part])

    def to(self, device: torch.device) -> Draw:
        """Return the same draw on another device."""
        return Draw(self.matrix.to(device), self.shift.to(device))


def check_mode(mode: str) -> None:
    """Raise UsageError unless ``mode`` is one of :data:`MODES`."""
    if mode not in MODES:
        raise UsageError(f"unknown augmentation {mode!r}: {near_names(mode, MODES)}")


def draw(
    mode: str,
    batch: int,
    size: tuple[int, int],
    generator: torch.Generator,
    *,
    strength: float = 0.05,
) -> Draw:
    """Draw an augmentation for ``batch`` images of ``size`` (height, width) pixels.

    The affine map is ``I + strength * N(0, 1)`` on its upper two rows, and its inverse in half
    of the draws, so that shrinking and growing are equally likely. The shift of ``roll`` is
    uniform over all height x width whole pixels, independent for each image.

    Raises:
        UsageError: unknown mode.
    """
    check_mode(mode)
    identity = torch.eye(3).repeat(batch, 1, 1)
    if mode == "none":
        return Draw(identity[:, :2], torch.zeros(batch, 2))
    matrix = identity.clone()
    matrix[:, :2] += strength * torch.randn(batch, 2, 3, generator=generator)
    swap = torch.rand(batch, 1, 1, generator=generator) < 0.5
    matrix = torch.where(swap, torch.linalg.inv(matrix), matrix)
    if mode != "roll":
        return Draw(matrix[:, :2], torch.zeros(batch, 2))
    height, width = size
    rows = torch.randint(height, (batch,), generator=generator)
    columns = torch.randint(width, (batch,), generator=generator)
    return Draw(matrix[:, :2], torch.stack([rows, columns], dim=1).float())


def warp(images: Tensor, drawn: Draw, border: str = "circular") -> Tensor:
    """Shift cyclically, then warp: (B, C, H, W) -> (B, C, H, W), in one resampling."""
    height, width = images.shape[-2:]
    grid = functional.affine_grid(drawn.matrix, [len(images), 1, height, width], False)
    if border == "zeros":
        return functional.grid_sample(_shifted(images, drawn.shift), grid, align_corners=False)
    relative_shift = _relative(drawn.shift, (height, width))
    return _sample_torus(images, grid - relative_shift[:, None, None, :])


def unwarp(
    features: Tensor, drawn: Draw, size: tuple[int, int], border: str = "circular"
) -> Tensor:
    """Take features of warped images of ``size`` pixels back: (B, C, h, w) -> (B, C, h, w).

    The stride of the features may be anything: a shift of a fraction of a token is interpolated.
    """
    source = _source_of_token(features.shape, drawn, size)
    if border == "zeros":
        return functional.grid_sample(features, source, align_corners=False)
    return _sample_torus(features, source)


def unwarp_validity(shape: torch.Size, drawn: Draw, size: tuple[int, int]) -> Tensor:
    """Return which tokens of features of ``shape`` (B, C, h, w) stay inside: (B, h, w) bool.

    A token is invalid where the affine map pushed its place out of the image, or within half a
    token of the border, so that what ``unwarp`` gives for it comes from the opposite border.
    """
    source = _source_of_token(shape, drawn, size)
    inside = 1 - 1 / torch.tensor([shape[3], shape[2]], device=source.device)
    return (source.abs() <= inside + 1e-6).all(dim=-1)


def _source_of_token(shape: torch.Size, drawn: Draw, size: tuple[int, int]) -> Tensor:
    """Return where the warped features hold each original token: (B, h, w, 2), -1 to 1."""
    batch, _, rows, columns = shape
    matrix = functional.pad(drawn.matrix, (0, 0, 0, 1))
    matrix[:, 2, 2] = 1
    identity = torch.eye(2, 3, device=matrix.device).expand(batch, 2, 3)
    tokens = functional.affine_grid(identity, [batch, 1, rows, columns], False)
    shifted = _wrap(tokens + _relative(drawn.shift, size)[:, None, None, :])
    inverse = torch.linalg.inv(matrix)
    source = torch.einsum("bij,byxj->byxi", inverse[:, :2, :2], shifted)
    return source + inverse[:, None, None, :2, 2]


def _relative(shift: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a shift (rows, columns) in pixels as (x, y) in units of half the image."""
    height, width = size
    return torch.stack([shift[:, 1] * 2 / width, shift[:, 0] * 2 / height], dim=1)


def _shifted(images: Tensor, shift: Tensor) -> Tensor:
    """Roll each of (B, C, H, W) by its own whole pixels, (B, 2): rows and columns."""
    height, width = images.shape[-2:]
    rows = (torch.arange(height, device=shift.device) - shift[:, :1]) % height  # (B, H)
    columns = (torch.arange(width, device=shift.device) - shift[:, 1:]) % width  # (B, W)
    samples = torch.arange(len(images), device=shift.device)[:, None, None]
    places = images.permute(0, 2, 3, 1)[samples, rows.long()[:, :, None], columns.long()[:, None]]
    return places.permute(0, 3, 1, 2)


def _wrap(grid: Tensor) -> Tensor:
    return torch.remainder(grid + 1, 2) - 1


def _sample_torus(images: Tensor, grid: Tensor) -> Tensor:
    """Bilinear samples of (B, C, H, W) at ``grid`` (B, h, w, 2), wrapping at the borders."""
    height, width = images.shape[-2:]
    padded = functional.pad(images, (1, 1, 1, 1), mode="circular")
    scale = torch.tensor([width / (width + 2), height / (height + 2)], device=grid.device)
    # No sample lies beyond what is padded, whatever the padding of the sampler.
    return functional.grid_sample(padded, _wrap(grid) * scale, mode="bilinear", align_corners=False)
