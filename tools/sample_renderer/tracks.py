"""Exact tracks of points of the sample: where a place on a thing is in every other frame.

A thing carries its texture, so a place on it is a texel. In another frame it is where the shape,
as posed there, shows the same texel.
"""

from __future__ import annotations

import numpy as np

from sample_renderer.render import Layer, Scene, view_of
from sample_renderer.scenes import SCENES
from vos.datasets.sample import Tracks
from vos.errors import UsageError, near_names

_REACH = 14.0  # units of the thing that a texel may wander from one frame to the next
_STEP = 0.5
_TOLERANCE = 1e-6


def track_points(sequence: str, points: np.ndarray, *, frame: int = 0) -> Tracks:
    """Follow points of one frame of the sample through all its frames, exactly.

    Args:
        sequence: name of a clip of the sample.
        points: (N, 2) pixel coordinates x, y in ``frame``, on objects or on the background.
        frame: their frame.

    Raises:
        UsageError: an unknown clip or frame, or a point outside the frame.
    """
    scenes = {make.__name__: make for make in SCENES}
    if sequence not in scenes:
        raise UsageError(f"the sample has no clip {sequence!r}: {near_names(sequence, scenes)}")
    return track_in_scene(scenes[sequence](), points, frame=frame)


def track_in_scene(scene: Scene, points: np.ndarray, *, frame: int = 0) -> Tracks:
    """Follow points as `track_points` does, in any scene."""
    if not 0 <= frame < scene.frames:
        raise UsageError(f"{scene.name} has frames 0 to {scene.frames - 1}, not {frame}")
    points = np.asarray(points, np.float64).reshape(-1, 2)
    tracks = Tracks(
        np.full((scene.frames, len(points), 2), np.nan),
        np.zeros((scene.frames, len(points)), bool),
    )
    for number, (x, y) in enumerate(points):
        if not _inside(scene, x, y):
            raise UsageError(
                f"the point ({x:g}, {y:g}) lies outside the frame of "
                f"{scene.width} x {scene.height} pixels"
            )
        layer = _front(scene, x, y, frame)
        for order in (range(frame, scene.frames), range(frame - 1, -1, -1)):
            _follow(scene, layer, (x, y), frame, order, tracks, number)
    return tracks


def _follow(
    scene: Scene,
    layer: Layer | None,
    start: tuple[float, float],
    frame: int,
    order: range,
    tracks: Tracks,
    number: int,
) -> None:
    """Fill one track for the frames of ``order``, which begins at or beside ``frame``."""
    place = _single(view_of(scene, layer, frame).grid(*_rows_and_columns(start)))
    texel = _texel(layer, np.array(place), frame)
    for time in order:
        found = place if layer is None else _find(layer, texel, place, time)
        if found is None:
            continue
        place = found
        x, y = map(float, view_of(scene, layer, time).inverse(*map(np.array, place)))
        tracks.points[time, number] = x, y
        tracks.visible[time, number] = _inside(scene, x, y) and _front(scene, x, y, time) is layer


def _find(
    layer: Layer, texel: np.ndarray, near: tuple[float, float], time: float
) -> tuple[float, float] | None:
    """Find the place of the thing, near another, that shows a texel; None where no place does."""
    offsets = np.arange(-_REACH, _REACH + _STEP, _STEP)
    x, y = np.meshgrid(near[0] + offsets, near[1] + offsets)
    surface = layer.shape.surface(x, y, time)
    distance = np.hypot(surface.x - texel[0], surface.y - texel[1])
    # Places outside the outline show texels too, of limbs that are elsewhere.
    distance = np.where(surface.level <= _STEP, distance, np.inf)
    best = np.unravel_index(distance.argmin(), distance.shape)
    place = np.array([x[best], y[best]])
    nudges = np.eye(2) * 1e-5
    for _ in range(12):
        miss = _texel(layer, place, time) - texel
        if np.hypot(*miss) < _TOLERANCE:
            return float(place[0]), float(place[1])
        slopes = [
            _texel(layer, place + nudge, time) - _texel(layer, place - nudge, time)
            for nudge in nudges
        ]
        jacobian = np.stack(slopes, 1) / 2e-5
        if abs(np.linalg.det(jacobian)) < 1e-3:
            return None
        place = place - np.linalg.solve(jacobian, miss)
    return None


def _texel(layer: Layer | None, place: np.ndarray, time: float) -> np.ndarray:
    if layer is None:
        return place
    surface = layer.shape.surface(place[:1], place[1:], time)
    return np.array([surface.x[0], surface.y[0]])


def _front(scene: Scene, x: float, y: float, time: float) -> Layer | None:
    """Return the thing that covers a pixel coordinate; None for the backdrop."""
    for layer in reversed(scene.layers):
        view = view_of(scene, layer, time)
        across, down = view.grid(*_rows_and_columns((x, y)))
        if layer.shape.surface(across, down, time).level[0, 0] <= 0:
            return layer
    return None


def _inside(scene: Scene, x: float, y: float) -> bool:
    return bool(-0.5 <= x <= scene.width - 0.5 and -0.5 <= y <= scene.height - 0.5)


def _rows_and_columns(point: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([float(point[1])]), np.array([float(point[0])])


def _single(grids: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    return float(grids[0][0, 0]), float(grids[1][0, 0])
