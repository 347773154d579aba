"""Building blocks shared by several backbones: one subject a file."""

from vos.backbones.layers.centring import PixelCentring
from vos.backbones.layers.colour import ColourDescriptor, scaled_lab
from vos.backbones.layers.normalise import IMAGENET_MEAN, IMAGENET_STD, Normalise
from vos.backbones.layers.padding import pad_to_multiple

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "ColourDescriptor",
    "Normalise",
    "PixelCentring",
    "pad_to_multiple",
    "scaled_lab",
]
