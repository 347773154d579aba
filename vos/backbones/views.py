"""Views of an image: what contrastive multiview coding compares.

A view turns RGB into channels of about -1 to 1. The built-in ones come from the image alone, so
that two or more views need no other sensor; :func:`register_view` adds any callable. A view named
``next-NAME`` is NAME of another frame: while training, of the temporal neighbour; afterwards, when
there is one image only, of that image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from vos.errors import UsageError, near_names

NEIGHBOUR = "next-"


@dataclass(frozen=True)
class View:
    """One way to see an image.

    Attributes:
        name: what users write.
        channels: of what ``compute`` returns.
        compute: (B, 3, H, W) RGB in [0, 1] -> (B, channels, H, W), about -1 to 1.
        neighbour: whether it is made from the neighbouring frame while training.
    """

    name: str
    channels: int
    compute: Callable[[Tensor], Tensor]
    neighbour: bool = False


_VIEWS: dict[str, View] = {}


def register_view(name: str, channels: int) -> Callable[[Callable[[Tensor], Tensor]], Callable]:
    """Register the decorated function, RGB (B, 3, H, W) -> (B, channels, H, W), as a view."""

    def register(compute: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        _VIEWS[name] = View(name, channels, compute)
        return compute

    return register


def view_names() -> list[str]:
    """Return the names of all views; each also goes with ``next-`` before it."""
    return sorted(_VIEWS)


def parse_views(text: str) -> tuple[View, ...]:
    """Parse views by names joined with ``+``: ``L+ab``, ``L+ab+edges``, ``L+next-L``.

    Raises:
        UsageError: an unknown view, or one that is there twice.
    """
    names = [name.strip() for name in text.split("+")]
    if len(set(names)) < len(names):
        raise UsageError(f"views {text}: one is there twice")
    return tuple(_find(name) for name in names)


def _find(name: str) -> View:
    plain = name.removeprefix(NEIGHBOUR)
    if plain not in _VIEWS:
        raise UsageError(f"unknown view {name!r}: {near_names(plain, _VIEWS)}")
    return replace(_VIEWS[plain], name=name, neighbour=plain != name)


def _scale(values: Tensor, mean: tuple[float, ...], half_range: tuple[float, ...]) -> Tensor:
    shape = (1, len(mean), 1, 1)
    middle, half = values.new_tensor(mean).view(shape), values.new_tensor(half_range).view(shape)
    return (values - middle) / half


def _lab(images: Tensor) -> Tensor:
    """Return L, a, b, each by middle and half-width of its range in sRGB (constants of CMC)."""
    from kornia.color import rgb_to_lab

    middle, half = (50.0, 6.025, -6.6895), (50.0, 92.208, 101.1675)
    return _scale(rgb_to_lab(images), middle, half)


def _ycbcr(images: Tensor) -> Tensor:
    """Return Y, Cb, Cr of ITU-R BT.601 (16 to 235, 16 to 240), with the constants of CMC."""
    weights = images.new_tensor(
        [
            [65.481, 128.553, 24.966],
            [-37.797, -74.203, 112.0],
            [112.0, -93.786, -18.214],
        ]
    )
    offset = images.new_tensor([16.0, 128.0, 128.0]).view(1, 3, 1, 1)
    values = torch.einsum("ij,bjyx->biyx", weights, images) + offset
    return _scale(values, (116.151, 121.080, 132.342), (109.500, 111.855, 111.964))


@register_view("L", 1)
def luminance(images: Tensor) -> Tensor:
    """Return L of Lab."""
    return _lab(images)[:, :1]


@register_view("ab", 2)
def chrominance(images: Tensor) -> Tensor:
    """Return a and b of Lab."""
    return _lab(images)[:, 1:]


@register_view("Lab", 3)
def lab(images: Tensor) -> Tensor:
    """Return all of Lab."""
    return _lab(images)


@register_view("Y", 1)
def luma(images: Tensor) -> Tensor:
    """Return Y of YCbCr."""
    return _ycbcr(images)[:, :1]


@register_view("CbCr", 2)
def chroma(images: Tensor) -> Tensor:
    """Return Cb and Cr of YCbCr."""
    return _ycbcr(images)[:, 1:]


@register_view("edges", 2)
def edges(images: Tensor) -> Tensor:
    """Return the gradient of luminance, horizontal and vertical, by Scharr's 3x3 filter."""
    light = functional.pad(luminance(images), (1, 1, 1, 1), mode="replicate")
    smooth = images.new_tensor([3.0, 10.0, 3.0]) / 16
    slope = images.new_tensor([-0.5, 0.0, 0.5])
    filters = torch.stack([torch.outer(smooth, slope), torch.outer(slope, smooth)])[:, None]
    return 3 * functional.conv2d(light, filters)


@register_view("blur", 3)
def low_pass(images: Tensor) -> Tensor:
    """Return Lab of what is left after a Gaussian of sigma 3 pixels: colours without detail."""
    offsets = torch.arange(-8, 9, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (offsets / 3) ** 2)
    kernel = (kernel / kernel.sum()).repeat(3, 1)[:, None]  # (3, 1, 17)
    padded = functional.pad(images, (8, 8, 8, 8), mode="replicate")
    rows = functional.conv2d(padded, kernel[..., None, :], groups=3)
    return _lab(functional.conv2d(rows, kernel[..., None], groups=3))
