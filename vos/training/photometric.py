"""Random changes of colour and sharpness, batched, on whatever device the images are.

Each image of a batch gets its own draw, so that features which rest on exact colour alone do
not match from draw to draw.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

# Luminance of RGB, and the rotation of hue in the YIQ plane (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)
_TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass
class Photometric:
    """How strong the changes are; all zero leaves images as they are.

    ``brightness``, ``contrast`` and ``saturation`` are the half-width of a factor around 1;
    ``hue`` is a largest turn as a share of the colour circle; ``grayscale`` and ``blur`` are
    probabilities.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grayscale: float = 0.0
    blur: float = 0.0


def draw_photometric(config: Photometric, batch: int, generator: torch.Generator) -> Tensor:
    """Six numbers an image, (B, 6): three factors, an angle, gray or not, sigma of the blur."""

    def uniform() -> Tensor:
        return torch.rand(batch, generator=generator)

    strengths = (config.brightness, config.contrast, config.saturation)
    factors = [1 + strength * (2 * uniform() - 1) for strength in strengths]
    angle = 2 * torch.pi * config.hue * (2 * uniform() - 1)
    gray = (uniform() < config.grayscale).float()
    sigma = torch.where(uniform() < config.blur, 0.2 + 1.3 * uniform(), torch.zeros(batch))
    return torch.stack([*factors, angle, gray, sigma], dim=1)


def apply_photometric(images: Tensor, drawn: Tensor) -> Tensor:
    """Change (B, 3, H, W) images in [0, 1] by numbers of :func:`draw_photometric`."""
    brightness, contrast, saturation, angle, gray, sigma = (
        column[:, None, None, None] for column in drawn.unbind(dim=1)
    )
    saturation = saturation * (1 - gray)
    luma = torch.tensor(_LUMA, device=images.device)[None, :, None, None]
    images = images * brightness
    mean = (images * luma).sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True)
    images = torch.einsum("bij,bjyx->biyx", _chroma(saturation, angle), images - mean)
    images = (images * contrast + mean).clamp(0, 1)
    blurred = sigma.flatten() > 0
    if blurred.any():
        images = images.clone()
        images[blurred] = _blur(images[blurred], sigma.flatten()[blurred])
    return images


def _chroma(saturation: Tensor, angle: Tensor) -> Tensor:
    """Return the linear map (B, 3, 3) on RGB that scales and turns colour and keeps luminance."""
    to_yiq = torch.tensor(_TO_YIQ, device=angle.device)
    turn = torch.zeros(len(angle), 3, 3, device=angle.device)
    turn[:, 0, 0] = 1
    cosine, sine = angle.flatten().cos(), angle.flatten().sin()
    scale = saturation.flatten()
    turn[:, 1, 1] = turn[:, 2, 2] = cosine * scale
    turn[:, 1, 2], turn[:, 2, 1] = -sine * scale, sine * scale
    return torch.linalg.inv(to_yiq) @ turn @ to_yiq


def _blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of (B, 3, H, W) with one sigma (pixels) an image."""
    offsets = torch.arange(-4, 5, device=images.device)
    kernel = torch.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(3, dim=0)  # (3B, 9)
    flat = images.reshape(1, -1, *images.shape[-2:])
    flat = functional.pad(flat, (4, 4, 4, 4), mode="reflect")
    flat = functional.conv2d(flat, kernel[:, None, :, None], groups=len(kernel))
    return functional.conv2d(flat, kernel[:, None, None, :], groups=len(kernel)).view_as(images)
