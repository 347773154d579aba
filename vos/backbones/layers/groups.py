"""Finite groups of turns and mirror images of the plane, as group convolutions use them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vos.errors import UsageError, near_names

Matrix = tuple[tuple[float, float], tuple[float, float]]
NAMES = ("c1", "c2", "c4", "c8", "d4")


@dataclass(frozen=True)
class Group:
    """``rotations`` turns of the plane by equal angles, with or without mirror images.

    Element ``g = mirrored * rotations + turns`` mirrors the plane left to right first (if at
    all), then turns it ``turns`` steps counter-clockwise as seen on the picture.

    Attributes:
        rotations: number of turns; a step is ``360 / rotations`` degrees.
        mirrors: whether mirror images belong to it.

    Example:
        >>> Group.named("d4").order
        8
    """

    rotations: int
    mirrors: bool = False

    @classmethod
    def named(cls, name: str) -> Group:
        """Return C1, C2, C4, C8 (turns) or D4 (quarter turns and mirror images).

        Raises:
            UsageError: another name.
        """
        if name.lower() not in NAMES:
            raise UsageError(f"unknown group {name!r}: {near_names(name, NAMES)}")
        return cls(int(name[1:]), name[0].lower() == "d")

    @property
    def name(self) -> str:
        """``C4``, ``D4``, ..."""
        return f"{'D' if self.mirrors else 'C'}{self.rotations}"

    @property
    def order(self) -> int:
        """Number of elements."""
        return self.rotations * (2 if self.mirrors else 1)

    @property
    def on_grid(self) -> bool:
        """Whether every element takes pixels to pixels: turns by 90 degrees, mirror images."""
        return 4 % self.rotations == 0

    def product(self, first: int, second: int) -> int:
        """Return the element that acts as ``second`` and then ``first``."""
        mirror, turns = divmod(first, self.rotations)
        other_mirror, other_turns = divmod(second, self.rotations)
        signed = -other_turns if mirror else other_turns
        return (mirror ^ other_mirror) * self.rotations + (turns + signed) % self.rotations

    def inverse(self, element: int) -> int:
        """Return the element that undoes ``element``: mirror images undo themselves."""
        mirror, turns = divmod(element, self.rotations)
        return element if mirror else -turns % self.rotations

    def matrix(self, element: int) -> Matrix:
        """Return the 2 x 2 matrix that acts on places (x to the right, y upwards)."""
        mirror, turns = divmod(element, self.rotations)
        angle = 2 * math.pi * turns / self.rotations
        sign = -1.0 if mirror else 1.0
        return (
            (sign * math.cos(angle), -math.sin(angle)),
            (sign * math.sin(angle), math.cos(angle)),
        )

    def moved(self, element: int) -> list[int]:
        """Return ``element^-1 g`` for each ``g``: where an acted-on regular field reads."""
        undo = self.inverse(element)
        return [self.product(undo, other) for other in range(self.order)]

    def act_on_grid(self, maps: Tensor, element: int) -> Tensor:
        """Mirror and turn (..., H, W) about the centre, exactly; a quarter turn swaps H and W.

        Raises:
            UsageError: an element that is no multiple of a quarter turn.
        """
        mirror, turns = divmod(element, self.rotations)
        if 4 * turns % self.rotations:
            raise UsageError(f"element {element} of {self.name} does not take pixels to pixels")
        if mirror:
            maps = maps.flip(-1)
        return torch.rot90(maps, 4 * turns // self.rotations, (-2, -1))
