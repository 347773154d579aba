"""Outlines that move: blobs, fish, vehicles and jointed animals as implicit functions.

A shape answers, for points in its own coordinates (x to the right, y down, about one unit a
pixel) at a time in frames: how far inside or outside, and which texel and tone the point shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np


class Surface(NamedTuple):
    """What a shape shows at some points; all arrays have the shape of the points."""

    level: np.ndarray  # negative inside, grows outwards, zero on the outline
    x: np.ndarray  # texture coordinates
    y: np.ndarray
    tone: np.ndarray  # brightness of the part


class Shape(Protocol):
    @property
    def extent(self) -> tuple[float, float]: ...  # no part reaches beyond +-(x, y)

    def surface(self, x: np.ndarray, y: np.ndarray, time: float) -> Surface: ...


@dataclass(frozen=True)
class Blob:
    """A star-shaped outline whose waves swell and turn; its texture stretches with it.

    ``waves`` holds (order, amplitude, phase, breathing): the radius at angle a is
    ``radius * (1 + sum amplitude * (1 + breathing * sin(rate * time + phase)) * cos(order * a +
    phase))``.
    """

    radius: float
    waves: tuple[tuple[int, float, float, float], ...]
    rate: float = 0.25

    @property
    def extent(self) -> tuple[float, float]:
        reach = self.radius * (1 + sum(abs(w[1]) * (1 + abs(w[3])) for w in self.waves))
        return reach, reach

    def surface(self, x: np.ndarray, y: np.ndarray, time: float) -> Surface:
        distance = np.sqrt(x * x + y * y) + 1e-9
        cosine, sine = x / distance, y / distance
        now, rest = np.ones_like(x), np.ones_like(x)
        for order, amplitude, phase, breathing in self.waves:
            wave = _cosine_of_multiple(cosine, sine, order, phase)
            now += amplitude * (1 + breathing * math.sin(self.rate * time + phase)) * wave
            rest += amplitude * wave
        stretch = rest / now
        return Surface(distance - self.radius * now, x * stretch, y * stretch, np.ones_like(x))


def _cosine_of_multiple(
    cosine: np.ndarray, sine: np.ndarray, order: int, phase: float
) -> np.ndarray:
    """cos(order * a + phase) from cos a and sin a, by products only."""
    real, imaginary = np.full_like(cosine, math.cos(phase)), np.full_like(cosine, math.sin(phase))
    for _ in range(order):
        real, imaginary = real * cosine - imaginary * sine, real * sine + imaginary * cosine
    return real


@dataclass(frozen=True)
class Fish:
    """A body that swims: its spine bends as a wave that grows towards the tail."""

    length: float  # half of it, nose to middle
    girth: float
    rate: float = 0.7
    phase: float = 0.0
    bend: float = 0.22

    @property
    def extent(self) -> tuple[float, float]:
        return self.length, 1.4 * self.girth + self.bend * self.length

    def surface(self, x: np.ndarray, y: np.ndarray, time: float) -> Surface:
        along = x / self.length
        tail = (1 - along) / 2
        sway = self.bend * self.length * (0.12 + 0.88 * tail * tail)
        straight = y - sway * np.sin(self.phase - self.rate * time + 2.4 * along)
        middle = (along - 0.12) / 0.88
        body = self.girth * np.sqrt(np.clip(1 - middle * middle, 0.0, None))
        body = body * (0.8 + 0.2 * along)
        fan = np.clip((-0.5 - along) / 0.5, 0.0, 1.0)
        fin = self.girth * (0.22 + 0.85 * fan) * (along < -0.45)
        back = np.clip(1 - ((along - 0.05) / 0.35) ** 2, 0.0, 1.0) * self.girth * 0.4
        upper = body + back * (straight < 0)
        level = np.maximum(np.abs(straight) - np.maximum(upper, fin), np.abs(x) - self.length)
        eye = (x - 0.72 * self.length) ** 2 + (straight + 0.22 * self.girth) ** 2
        tone = np.where(eye < (0.13 * self.girth) ** 2 + 1.2, 0.15, 1.0)
        return Surface(level, x, straight, tone)


class Bone(NamedTuple):
    """A tapered limb between two joints."""

    x0: float
    y0: float
    x1: float
    y1: float
    r0: float
    r1: float
    tone: float = 1.0


@dataclass(frozen=True)
class Jointed:
    """Limbs that move on their own and carry their own piece of texture."""

    pose: Callable[[float], list[Bone]]
    extent: tuple[float, float]
    softness: float = 4.0  # how far neighbouring limbs melt into one another

    def surface(self, x: np.ndarray, y: np.ndarray, time: float) -> Surface:
        level = nearest = texture_x = texture_y = tone = np.zeros(0)
        for index, bone in enumerate(self.pose(time)):
            across, down = bone.x1 - bone.x0, bone.y1 - bone.y0
            length = math.hypot(across, down) + 1e-9
            ahead_x, ahead_y = across / length, down / length
            along = (x - bone.x0) * ahead_x + (y - bone.y0) * ahead_y
            aside = (y - bone.y0) * ahead_x - (x - bone.x0) * ahead_y
            share = np.clip(along / length, 0.0, 1.0)
            beyond = along - share * length
            limb = np.sqrt(beyond * beyond + aside * aside)
            limb = limb - (bone.r0 + (bone.r1 - bone.r0) * share)
            if index == 0:
                level, nearest, texture_x, texture_y = limb, limb, along, aside
                tone = np.full_like(limb, bone.tone)
                continue
            mine = limb < nearest
            nearest = np.where(mine, limb, nearest)
            texture_x = np.where(mine, along + 37.0 * index, texture_x)
            texture_y = np.where(mine, aside, texture_y)
            tone = np.where(mine, bone.tone, tone)
            mix = np.clip(0.5 + 0.5 * (limb - level) / self.softness, 0.0, 1.0)
            level = limb * (1 - mix) + level * mix - self.softness * mix * (1 - mix)
        return Surface(level, texture_x, texture_y, tone)


@dataclass(frozen=True)
class Animal:
    """The pose of a four-legged walker that faces right, about 100 units long."""

    rate: float = 0.45
    phase: float = 0.0
    stride: float = 0.5  # largest swing of a leg in radians
    legs: float = 17.0  # length of each of the two halves of a leg
    neck: tuple[float, float] = (15.0, -17.0)

    def __call__(self, time: float) -> list[Bone]:
        turn = self.rate * time + self.phase
        bob = 1.2 * math.sin(2 * turn)
        nod = 2.0 * math.sin(2 * turn + 0.8)
        bones = [Bone(-26, bob, 22, bob - 2, 13, 12)]
        for hip, offset, tone in ((-20, math.pi, 0.7), (15, 0.3, 0.7), (-26, 0, 1), (21, 3.5, 1)):
            bones += self._leg(hip, bob, turn + offset, tone)
        head_x, head_y = 22 + self.neck[0], bob - 4 + self.neck[1] + nod
        bones.append(Bone(20, bob - 5, head_x, head_y, 9, 6))
        bones.append(Bone(head_x, head_y, head_x + 13, head_y + 4, 6.5, 4))
        bones.append(Bone(head_x - 2, head_y - 4, head_x - 6, head_y - 12, 2.6, 1.6, 0.8))
        wag = 0.4 * math.sin(1.7 * turn)
        tip_x, tip_y = -38 - 14 * math.cos(0.7 + wag), bob - 4 + 14 * math.sin(0.7 + wag)
        bones.append(Bone(-37, bob - 4, tip_x, tip_y, 3.2, 2.0, 0.9))
        return bones

    def _leg(self, hip: float, bob: float, turn: float, tone: float) -> list[Bone]:
        swing = self.stride * math.sin(turn)
        knee = swing + 0.35 * self.stride * (math.cos(turn) - 1)
        x1, y1 = hip + self.legs * math.sin(swing), bob + 6 + self.legs * math.cos(swing)
        x2, y2 = x1 + self.legs * math.sin(knee), y1 + self.legs * math.cos(knee)
        return [
            Bone(hip, bob + 6, x1, y1, 6.5, 4.5, tone),
            Bone(x1, y1, x2, y2, 4.5, 3.0, tone),
        ]


@dataclass(frozen=True)
class Person:
    """The pose of a walker seen from the side, about 100 units tall, origin at the hip."""

    rate: float = 0.4
    phase: float = 0.0

    def __call__(self, time: float) -> list[Bone]:
        turn = self.rate * time + self.phase
        bob = 1.5 * math.sin(2 * turn)
        swing, bend = 0.55 * math.sin(turn), 0.4 * (1 - math.cos(turn))
        bones = [Bone(0, bob, 2, bob - 30, 9, 11)]
        bones.append(Bone(3, bob - 44, 4, bob - 47, 8, 8, 1.1))
        for sign, tone in ((-1, 0.7), (1, 1.0)):
            knee_x, knee_y = 22 * math.sin(sign * swing), bob + 22 * math.cos(swing)
            lower = sign * swing - (bend if sign > 0 else 0.8 - bend)
            foot_x, foot_y = knee_x + 21 * math.sin(lower), knee_y + 21 * math.cos(lower)
            bones.append(Bone(0, bob, knee_x, knee_y, 8, 5.5, tone))
            bones.append(Bone(knee_x, knee_y, foot_x, foot_y, 5.5, 3.5, tone))
            arm = -sign * swing
            elbow_x, elbow_y = 2 + 15 * math.sin(arm), bob - 31 + 15 * math.cos(arm)
            hand_x, hand_y = elbow_x + 14 * math.sin(arm + 0.5), elbow_y + 14 * math.cos(arm + 0.5)
            bones.append(Bone(2, bob - 31, elbow_x, elbow_y, 5, 4, tone))
            bones.append(Bone(elbow_x, elbow_y, hand_x, hand_y, 4, 3, tone))
        return bones


@dataclass(frozen=True)
class Car:
    """A body, a cabin with dark windows and two wheels that roll."""

    roll: float = 0.25  # turn of the wheels in radians a frame
    extent: tuple[float, float] = (57.0, 29.0)

    def surface(self, x: np.ndarray, y: np.ndarray, time: float) -> Surface:
        body = _rounded_box(x, y - 4, 56.0, 12.0, 7.0)
        lean = 0.45 * (y + 12)
        cabin = _rounded_box(x + 4, y + 14, 32.0 + lean, 14.0, 5.0)
        level = np.minimum(body, cabin)
        window = np.minimum(
            _rounded_box(x + 18, y + 15, 12.0 + lean, 7.0, 3.0),
            _rounded_box(x - 9, y + 15, 12.0 + lean, 7.0, 3.0),
        )
        tone = np.where(window < 0, 0.35, 1.0)
        texture_x, texture_y = x, y
        for hub in (-32.0, 33.0):
            across, down = x - hub, y - 15.0
            wheel = np.sqrt(across * across + down * down) - 10.5
            inside = wheel < 0
            turn = self.roll * time
            cosine, sine = math.cos(turn), math.sin(turn)
            texture_x = np.where(inside, cosine * across + sine * down + 90.0, texture_x)
            texture_y = np.where(inside, cosine * down - sine * across, texture_y)
            spoke = np.abs(cosine * across + sine * down) < 2.0
            tone = np.where(inside, np.where(spoke & (wheel < -3.5), 0.9, 0.28), tone)
            level = np.minimum(level, wheel)
        return Surface(level, texture_x, texture_y, tone)


@dataclass(frozen=True)
class Slab:
    """A standing board: a tree trunk, a pole, a wall. Its sides wave a little."""

    half_width: float
    half_height: float
    wave: float = 0.0

    @property
    def extent(self) -> tuple[float, float]:
        return self.half_width + abs(self.wave), self.half_height

    def surface(self, x: np.ndarray, y: np.ndarray, time: float) -> Surface:
        bent = x + self.wave * np.sin(y * 0.045)
        return Surface(
            _rounded_box(bent, y, self.half_width, self.half_height, 3.0), bent, y, np.ones_like(x)
        )


def _rounded_box(
    x: np.ndarray, y: np.ndarray, half_width: float | np.ndarray, half_height: float, round_: float
) -> np.ndarray:
    across = np.abs(x) - half_width + round_
    down = np.abs(y) - half_height + round_
    outside = np.sqrt(np.clip(across, 0.0, None) ** 2 + np.clip(down, 0.0, None) ** 2)
    return outside + np.minimum(np.maximum(across, down), 0.0) - round_
