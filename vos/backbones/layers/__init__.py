"""Building blocks shared by several backbones: one subject a file."""

from vos.backbones.layers.normalise import IMAGENET_MEAN, IMAGENET_STD, Normalise

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Normalise"]
