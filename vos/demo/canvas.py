"""Between masks of full size and what the editor shows: at most 854 pixels wide, in colours.

What a person does not touch comes back to the pixel: only the cells of the small picture that
changed are written into the large mask.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np

from vos.demo.objects import DemoObject, rgb
from vos.errors import UsageError

EDITOR_SIDE = 854


def editor_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) at which a frame of ``size`` is shown; never enlarged."""
    scale = min(1.0, EDITOR_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def picture_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of the picture to look at and click on: small frames are enlarged.

    Enlarged here and not by the browser, where Gradio would mistake the place of a click.
    """
    scale = EDITOR_SIDE / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def shown_frame(frame: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) uint8 at the size of the editor."""
    height, width = editor_size(frame.shape[:2])
    if (height, width) == frame.shape[:2]:
        return frame
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)


def shown_mask(mask: np.ndarray) -> np.ndarray:
    """Return (H, W) uint8 ids at the size of the editor: of each cell, the pixel at its centre."""
    height, width = editor_size(mask.shape)
    rows, columns = _centres(mask.shape[0], height), _centres(mask.shape[1], width)
    return mask[rows[:, None], columns[None]]


def _centres(length: int, cells: int) -> np.ndarray:
    """Return the middle pixel of each cell; pixel ``p`` lies in cell ``p * cells // length``."""
    edges = -(-np.arange(cells + 1) * length // cells)  # first pixel of each cell
    return (edges[:-1] + edges[1:] - 1) // 2


def enlarge(shown: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an array of the editor's size at full size: each pixel takes the cell it lies in."""
    rows = np.arange(size[0]) * shown.shape[0] // size[0]
    columns = np.arange(size[1]) * shown.shape[1] // size[1]
    return shown[rows[:, None], columns[None]]


def merge(mask: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """Return ``mask`` with the cells in which ``painted`` differs from what it was shown as.

    Args:
        mask: (H, W) uint8 ids, full size.
        painted: uint8 ids at the size of the editor.

    Returns:
        (H, W) uint8 ids, a new array.
    """
    changed = enlarge(painted != shown_mask(mask), mask.shape)
    return np.where(changed, enlarge(painted, mask.shape), mask)


def to_layer(mask: np.ndarray, objects: Iterable[DemoObject]) -> np.ndarray:
    """Return (H, W, 4) uint8 RGBA: each object in its colour, the rest transparent."""
    table = np.zeros((256, 4), np.uint8)
    for item in objects:
        table[item.id] = (*rgb(item.colour), 255)
    return table[mask]


def from_layers(layers: Iterable[np.ndarray], objects: Iterable[DemoObject]) -> np.ndarray:
    """Ids from painted layers, later ones in front.

    Brushes paint exact colours; where edges were smoothed, the nearest colour counts.

    Args:
        layers: (H, W, 4) uint8 RGBA, of one size.

    Returns:
        (H, W) uint8 ids.

    Raises:
        UsageError: there are no layers or no objects, or layers differ in size.
    """
    items = list(objects)
    layers = list(layers)
    if not layers or not items or len({layer.shape for layer in layers}) != 1:
        raise UsageError("Nothing was painted")
    ids = np.array([item.id for item in items], np.uint8)
    colours = np.array([rgb(item.colour) for item in items], np.int32)
    mask = np.zeros(layers[0].shape[:2], np.uint8)
    for layer in layers:
        opaque = layer[..., 3] >= 128
        pixels = layer[opaque][:, :3].astype(np.int32)
        codes = pixels[:, 0] << 16 | pixels[:, 1] << 8 | pixels[:, 2]
        distinct, inverse = np.unique(codes, return_inverse=True)
        parts = np.stack([distinct >> 16, distinct >> 8 & 255, distinct & 255], 1)
        distance = ((parts[:, None] - colours[None]) ** 2).sum(-1)  # (distinct, objects)
        mask[opaque] = ids[distance.argmin(1)][inverse] if len(pixels) else 0
    return mask


def painted_mask(
    value: dict[str, Any] | None, size: tuple[int, int], objects: Iterable[DemoObject]
) -> np.ndarray | None:
    """Return the ids an editor holds, at its size for a frame of ``size``; None if it is empty.

    Args:
        value: as Gradio's ImageEditor gives it, with layers as arrays.
    """
    layers = [layer for layer in (value or {}).get("layers", []) if layer is not None]
    items = list(objects)
    if not layers or not items:
        return None
    height, width = editor_size(size)
    whole = [
        layer
        if layer.shape[:2] == (height, width)
        else cv2.resize(layer, (width, height), interpolation=cv2.INTER_NEAREST)
        for layer in layers
    ]
    return from_layers(whole, items)
