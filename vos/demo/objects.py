"""The objects of a session: id in the masks, and name, colour and visibility on the page."""

from __future__ import annotations

import colorsys
import functools
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from vos.errors import UsageError
from vos.propagation.propagator import MAX_OBJECTS

# Told apart by people who see few colours too; then comes what lies farthest from all others.
_FIRST_COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#ffe119", "#f58231", "#911eb4", "#42d4f4")


@dataclass(frozen=True)
class DemoObject:
    """One object; ``colour`` is ``#rrggbb``."""

    id: int
    name: str
    colour: str
    visible: bool = True
    locked: bool = False  # neither paint nor clicks on others change it


class ObjectList:
    """Objects in the order of their ids. Ids are never changed, and no two colours are alike."""

    def __init__(self, objects: Iterable[DemoObject] = ()) -> None:
        self._objects = {item.id: item for item in objects}

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(sorted(self._objects.values(), key=lambda item: item.id))

    def __len__(self) -> int:
        return len(self._objects)

    def __contains__(self, object_id: int) -> bool:
        return object_id in self._objects

    def __getitem__(self, object_id: int) -> DemoObject:
        return self._objects[object_id]

    def add(self, object_id: int | None = None, *, avoid: Collection[int] = ()) -> DemoObject:
        """Add an object, with the lowest free id unless one is given; known ids stay as they are.

        Args:
            avoid: free ids to take last.

        Raises:
            UsageError: there are as many as masks can hold.
        """
        if object_id in self._objects:
            return self._objects[object_id]
        free = [i for i in range(1, MAX_OBJECTS + 1) if i not in self._objects]
        lowest = min(free, key=lambda i: (i in avoid, i), default=None)
        new_id = object_id if object_id is not None else lowest
        if new_id is None:
            raise UsageError(f"at most {MAX_OBJECTS} objects can be followed")
        item = DemoObject(new_id, f"Object {new_id}", self._free_colour())
        self._objects[new_id] = item
        return item

    def remove(self, object_id: int) -> None:
        """Forget an object; the caller takes it out of the masks."""
        self._objects.pop(object_id, None)

    def restore(self, item: DemoObject) -> None:
        """Put a removed object back; where another took its colour, it gets a new one."""
        if any(item.colour == other.colour for other in self if other.id != item.id):
            item = replace(item, colour=self._free_colour())
        self._objects[item.id] = item

    def change(
        self,
        object_id: int,
        *,
        name: str | None = None,
        colour: str | None = None,
        visible: bool | None = None,
        locked: bool | None = None,
    ) -> DemoObject:
        """Change what is given.

        Raises:
            UsageError: a colour that is none, or that another object has.
        """
        item = self._objects[object_id]
        if name is not None:
            item = replace(item, name=" ".join(name.split())[:60] or f"Object {object_id}")
        if colour is not None:
            colour = parse_colour(colour)
            others = {other.colour for other in self if other.id != object_id}
            if colour in others:
                raise UsageError(
                    "Another object has this colour: choose one that can be told apart"
                )
            item = replace(item, colour=colour)
        if visible is not None:
            item = replace(item, visible=visible)
        if locked is not None:
            item = replace(item, locked=locked)
        self._objects[object_id] = item
        return item

    def palette(self) -> np.ndarray:
        """Return (256, 3) uint8: the colour of each id."""
        table = np.zeros((256, 3), np.uint8)
        for item in self:
            table[item.id] = rgb(item.colour)
        return table

    def without_hidden(self, mask: np.ndarray) -> np.ndarray:
        """Return ``mask`` without the objects that are switched off."""
        table = np.arange(256, dtype=np.uint8)
        table[[item.id for item in self if not item.visible]] = 0
        return table[mask]

    def _free_colour(self) -> str:
        taken = {item.colour for item in self}
        first = [colour for colour in _FIRST_COLOURS if colour not in taken]
        if first:
            return first[0]
        others, places = _saturated_colours()
        apart = np.linalg.norm(places[:, None] - lab(sorted(taken)), axis=2).min(axis=1)
        return others[int(apart.argmax())]


@functools.cache
def _saturated_colours() -> tuple[list[str], np.ndarray]:
    """Return 384 colours of all hues, light and dark, and where they lie in CIE Lab."""
    found = []
    for saturation, value in ((0.85, 0.95), (0.5, 1.0), (1.0, 0.65), (0.6, 0.75)):
        for hue in range(96):
            parts = colorsys.hsv_to_rgb(hue / 96, saturation, value)
            found.append("#" + "".join(f"{round(255 * part):02x}" for part in parts))
    return found, lab(found)


def lab(colours: Sequence[str]) -> np.ndarray:
    """Return (n, 3) float32 in CIE Lab, where distances are about those that people see."""
    values = np.array([rgb(colour) for colour in colours], np.float32) / 255
    return cv2.cvtColor(values[:, None], cv2.COLOR_RGB2LAB)[:, 0]


def parse_colour(text: str) -> str:
    """``#rrggbb`` from what colour pickers give: ``#RGB``, ``#RRGGBB``, ``rgba(r, g, b, a)``.

    Raises:
        UsageError: none of these.
    """
    text = text.strip().lower()
    if re.fullmatch(r"#[0-9a-f]{3}", text):
        text = "#" + "".join(2 * digit for digit in text[1:])
    if re.fullmatch(r"#[0-9a-f]{6}", text):
        return text
    parts = re.fullmatch(r"rgba?\(([\d.]+),\s*([\d.]+),\s*([\d.]+).*\)", text)
    if parts is None:
        raise UsageError(f"{text[:40]!r} is no colour")
    return "#" + "".join(f"{min(255, round(float(part))):02x}" for part in parts.groups())


def rgb(colour: str) -> tuple[int, int, int]:
    """``#rrggbb`` as three numbers."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
