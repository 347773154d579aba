"""Binary images as one long integer each: the morphology of the boundary measure, fast.

Python's integers of a few thousand bits are shifted, combined and counted 64 pixels and more in
a nanosecond or two, so that moving a whole image by some pixels is one shift. An image is laid
out row after row, lowest bit first, with ``stride`` bits a row; the bits from ``width`` to
``stride`` are a margin that keeps pixels shifted out of a row from reaching the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np


@dataclass(frozen=True)
class Grid:
    """Layout of the bit images of one size.

    Attributes:
        height: rows, in pixels.
        width: columns, in pixels.
        margin: unused bits after each row; no image may be moved sideways by more than this.
    """

    height: int
    width: int
    margin: int

    @property
    def stride(self) -> int:
        """Bits a row."""
        return self.width + self.margin

    def inside(self) -> int:
        """The image that is true everywhere."""
        rows, image = 1, (1 << self.width) - 1
        while 2 * rows <= self.height:
            image |= image << rows * self.stride
            rows *= 2
        missing = self.height - rows
        return image | image << missing * self.stride


def pack(mask: np.ndarray) -> int:
    """Bit image of a boolean array ``(rows, stride)``, margin included."""
    return int.from_bytes(np.packbits(mask, bitorder="little").tobytes(), "little")


def boundary(image: int, grid: Grid, inside: int) -> int:
    """Pixels whose right, lower or lower right neighbour differs (see reference.boundary).

    ``image`` holds one more row and column than ``grid``: a copy of the last ones, or what lies
    beyond them in a larger image.
    """
    right, below = image >> 1, image >> grid.stride
    below_right = below >> 1
    return ((image ^ right) | (image ^ below) | (image ^ below_right)) & inside


def dilate(image: int, grid: Grid, radius: int) -> int:
    """Grow by a disk: true at most ``radius`` from a true pixel; the margin holds garbage.

    A disk is a stack of rows, the widest in the middle. From the outermost row inwards the image
    is smeared to the right over the width of the row, and moved to where the row lies: up and
    down by its distance from the middle, and half its width to the left.
    """
    grown, smeared, reach = 0, image, 0
    for away in range(radius, 0, -1):
        half = isqrt(radius * radius - away * away)
        smeared, reach = _smear(smeared, reach, 2 * half), 2 * half
        grown |= smeared << away * grid.stride - half | smeared >> away * grid.stride + half
    return grown | _smear(smeared, reach, 2 * radius) >> radius


def _smear(smeared: int, reach: int, further: int) -> int:
    """From an image smeared over ``reach`` pixels, the image smeared over ``further``."""
    while reach < further:
        step = min(reach + 1, further - reach)
        smeared |= smeared << step
        reach += step
    return smeared
