"""From a scene to frames and exact masks: a camera, layers from back to front, light, a sensor.

A mask holds the id of the front-most layer that covers the centre of the pixel (level <= 0); in
the frame the outlines are antialiased over one pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sample_renderer.noise import Random, smooth
from sample_renderer.shapes import Shape
from sample_renderer.textures import sample

SHADOW = 6  # pixels that a shadow falls below its thing


class Key(NamedTuple):
    """Where something is at a time: position in world pixels, turn in degrees, size, stretch."""

    time: float
    x: float
    y: float
    turn: float = 0.0
    size: float = 1.0
    stretch: float = 1.0  # horizontal over vertical scale; negative mirrors


@dataclass(frozen=True)
class Layer:
    """One thing in the world. ``object_id`` 0 makes it scenery, which hides but is not labelled."""

    object_id: int
    shape: Shape
    texture: np.ndarray
    keys: tuple[Key, ...]
    shadow: float = 0.0  # how much it darkens what lies just below it


@dataclass(frozen=True)
class Scene:
    """A clip to render."""

    name: str
    width: int
    height: int
    frames: int
    seed: int
    backdrop: np.ndarray  # (H, W, 3) tile; world (0, 0) is its corner
    layers: tuple[Layer, ...]  # from back to front
    camera: tuple[Key, ...]  # the world point in the middle of the frame; size is the zoom
    shake: float = 0.0  # of a hand-held camera, in pixels
    shutter: int = 1  # instants averaged a frame, an odd number: motion blur
    light: tuple[tuple[float, float, float, float], ...] = ((0, 1, 1, 1),)  # (time, R, G, B) gain
    grain: float = 2.5  # sensor noise, standard deviation in grey levels


def render(scene: Scene) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (H, W, 3) uint8 RGB frames with their (H, W) uint8 masks."""
    random = Random(scene.seed)
    grain = random.bell(scene.height + 64, scene.width + 64, 3) * scene.grain
    for index in range(scene.frames):
        offsets = (np.arange(scene.shutter) - (scene.shutter - 1) / 2) * (0.5 / scene.shutter)
        picture = np.zeros((scene.height, scene.width, 3))
        mask = np.zeros((scene.height, scene.width), dtype=np.uint8)
        for position, offset in enumerate(offsets):
            instant, labels = _expose(scene, index + float(offset))
            picture += instant / scene.shutter
            if position == scene.shutter // 2:
                mask = labels
        picture *= _light(scene, index)
        top, left = random.choice(64), random.choice(64)
        picture += grain[top : top + scene.height, left : left + scene.width]
        yield np.clip(np.rint(picture), 0, 255).astype(np.uint8), mask


def at(keys: tuple[Key, ...], time: float) -> Key:
    """The pose at a time: Catmull-Rom between keys, held before the first and after the last."""
    if time <= keys[0].time:
        return keys[0]
    if time >= keys[-1].time:
        return keys[-1]
    index = max(i for i, key in enumerate(keys) if key.time <= time)
    before, after = keys[index], keys[index + 1]
    first, last = keys[max(index - 1, 0)], keys[min(index + 2, len(keys) - 1)]
    span = after.time - before.time
    share = (time - before.time) / span

    def curve(field: int) -> float:
        slope_in = (after[field] - first[field]) / (after.time - first.time) * span
        slope_out = (last[field] - before[field]) / (last.time - before.time) * span
        a = 2 * before[field] - 2 * after[field] + slope_in + slope_out
        b = -3 * before[field] + 3 * after[field] - 2 * slope_in - slope_out
        return ((a * share + b) * share + slope_in) * share + before[field]

    # a mirror flips at once instead of shrinking through zero
    flips = before.stretch * after.stretch < 0
    return Key(time, curve(1), curve(2), curve(3), curve(4), before.stretch if flips else curve(5))


class View(NamedTuple):
    """Pixel coordinates to the coordinates of a thing: x' = a x + b y + c, y' = d x + e y + f."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def inverse(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixel coordinates of points of the thing."""
        scale = self.a * self.e - self.b * self.d
        across, down = x - self.c, y - self.f
        return (
            (self.e * across - self.b * down) / scale,
            (self.a * down - self.d * across) / scale,
        )

    def grid(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y = columns[None, :], rows[:, None]
        return self.a * x + self.b * y + self.c, self.d * x + self.e * y + self.f

    def window(
        self, extent: tuple[float, float], height: int, width: int
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows and columns of the frame that hold the thing and its shadow, by its half sizes."""
        scale = self.a * self.e - self.b * self.d
        middle_x = (self.b * self.f - self.e * self.c) / scale
        middle_y = (self.d * self.c - self.a * self.f) / scale
        half_width, half_height = extent
        across = (abs(self.e) * half_width + abs(self.b) * half_height) / abs(scale)
        down = (abs(self.d) * half_width + abs(self.a) * half_height) / abs(scale)
        return _span(middle_y, down, height), _span(middle_x, across, width)


def _span(middle: float, half: float, limit: int) -> tuple[int, int]:
    margin = half + SHADOW + 8
    low = min(max(math.floor(middle - margin), 0), limit)
    return low, min(max(math.ceil(middle + margin) + 1, low), limit)


def view_of(scene: Scene, layer: Layer | None, time: float) -> View:
    """How a thing is seen at a time; None is the backdrop."""
    world = _to_world(scene, _camera(scene, time))
    return world if layer is None else _to_thing(world, at(layer.keys, time))


def _camera(scene: Scene, time: float) -> Key:
    key = at(scene.camera, time)
    sway_x = math.sin(0.61 * time + 1.3) + 0.6 * math.sin(1.37 * time) + 0.3 * math.sin(2.9 * time)
    sway_y = math.sin(0.53 * time) + 0.6 * math.sin(1.21 * time + 2) + 0.3 * math.sin(3.3 * time)
    return key._replace(
        x=key.x + scene.shake * sway_x,
        y=key.y + scene.shake * sway_y,
        turn=key.turn + 0.25 * scene.shake * math.sin(0.4 * time),
    )


def _to_world(scene: Scene, camera: Key) -> View:
    angle = math.radians(camera.turn)
    cosine, sine = math.cos(angle) / camera.size, math.sin(angle) / camera.size
    middle_x, middle_y = (scene.width - 1) / 2, (scene.height - 1) / 2
    return View(
        cosine,
        sine,
        camera.x - cosine * middle_x - sine * middle_y,
        -sine,
        cosine,
        camera.y + sine * middle_x - cosine * middle_y,
    )


def _to_thing(world: View, pose: Key) -> View:
    angle = math.radians(pose.turn)
    wide = pose.size * pose.stretch
    tall = pose.size / abs(pose.stretch)
    a, b = math.cos(angle) / wide, math.sin(angle) / wide
    d, e = -math.sin(angle) / tall, math.cos(angle) / tall
    c, f = world.c - pose.x, world.f - pose.y
    return View(
        a * world.a + b * world.d,
        a * world.b + b * world.e,
        a * c + b * f,
        d * world.a + e * world.d,
        d * world.b + e * world.e,
        d * c + e * f,
    )


def _expose(scene: Scene, time: float) -> tuple[np.ndarray, np.ndarray]:
    """The world at one instant: colours (H, W, 3) float64 and ids (H, W)."""
    camera = _camera(scene, time)
    world = view_of(scene, None, time)
    rows = np.arange(scene.height, dtype=np.float64)
    columns = np.arange(scene.width, dtype=np.float64)
    picture = sample(scene.backdrop, *world.grid(rows, columns))
    mask = np.zeros((scene.height, scene.width), dtype=np.uint8)
    for layer in scene.layers:
        _paint(picture, mask, scene, layer, camera, time)
    return picture, mask


def _paint(
    picture: np.ndarray, mask: np.ndarray, scene: Scene, layer: Layer, camera: Key, time: float
) -> None:
    pose = at(layer.keys, time)
    view = view_of(scene, layer, time)
    size = pose.size * max(abs(pose.stretch), 1 / abs(pose.stretch)) * camera.size
    (top, bottom), (left, right) = view.window(layer.shape.extent, scene.height, scene.width)
    if bottom - top < 2 or right - left < 2:
        return
    rows = np.arange(top, bottom, dtype=np.float64)
    columns = np.arange(left, right, dtype=np.float64)
    x, y = view.grid(rows, columns)
    surface = layer.shape.surface(x, y, time)
    window = picture[top:bottom, left:right]
    if layer.shadow and len(rows) > SHADOW:
        level = surface.level[:-SHADOW] * size
        window[SHADOW:] *= 1 - layer.shadow * smooth(0.5 - level / 14)[..., None]
    down_slope, across_slope = np.gradient(surface.level)
    slope = np.sqrt(down_slope * down_slope + across_slope * across_slope) + 1e-6
    cover = 0.5 - surface.level / slope
    seen = cover > 0
    cover = np.minimum(cover[seen], 1.0)[:, None]
    shade = _shade(
        surface.level[seen] * size, across_slope[seen] / slope[seen], down_slope[seen] / slope[seen]
    )
    colour = sample(layer.texture, surface.x[seen], surface.y[seen])
    colour *= (shade * surface.tone[seen])[:, None]
    window[seen] = window[seen] * (1 - cover) + colour * cover
    mask[top:bottom, left:right][surface.level <= 0] = layer.object_id


def _shade(level: np.ndarray, across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Rounded look: darker towards the rim, brighter on the side of the light (upper left)."""
    depth = np.clip(-level / 12, 0.0, 1.0)
    bulge = np.sqrt(depth * (2 - depth))
    facing = -(0.55 * across + 0.83 * down)
    return 0.74 + 0.3 * bulge + 0.26 * facing * (1 - bulge)


def _light(scene: Scene, time: float) -> np.ndarray:
    times = [step[0] for step in scene.light]
    gains = [[step[channel] for step in scene.light] for channel in (1, 2, 3)]
    return np.array([np.interp(time, times, gain) for gain in gains])
