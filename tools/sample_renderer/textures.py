"""Tileable colour textures, (H, W, 3) float64 in 0..255: coats, stripes, spots, leaves, ground."""

from __future__ import annotations

import numpy as np

from sample_renderer.noise import Random, noise, smooth

Palette = tuple[tuple[int, int, int], ...]
SIDE = 192


def colourise(value: np.ndarray, palette: Palette) -> np.ndarray:
    """Map (H, W) in [0, 1] to colours evenly spaced along a palette."""
    stops = np.linspace(0.0, 1.0, len(palette))
    channels = [np.interp(value, stops, [colour[c] for colour in palette]) for c in range(3)]
    return np.stack(channels, axis=-1)


def coat(random: Random, palette: Palette, cells: tuple[int, int] = (5, 5)) -> np.ndarray:
    """Fur or stone: colours drift along the palette, fine grain on top."""
    drift = noise(random, SIDE, SIDE, cells, 4)
    return _grain(random, colourise(drift, palette))


def stripes(random: Random, palette: Palette, count: int, warp: float = 0.5) -> np.ndarray:
    """``count`` wavy bands across the tile, the colours of the palette in turn."""
    across = np.arange(SIDE) * (count / SIDE)
    phase = across[None, :] + warp * (2 * noise(random, SIDE, SIDE, (3, 3), 3) - 1)
    band = (phase * len(palette)) % len(palette)
    index = band.astype(np.int64) % len(palette)
    blend = smooth((band - np.floor(band) - 0.75) * 4)[..., None]
    colours = np.array(palette, dtype=np.float64)
    mixed = colours[index] * (1 - blend) + colours[(index + 1) % len(palette)] * blend
    return _grain(random, mixed)


def spots(random: Random, ground: Palette, ink: Palette, count: int, radius: float) -> np.ndarray:
    """Spots of uneven size and outline on a coat."""
    base = colourise(noise(random, SIDE, SIDE, (4, 4), 4), ground)
    blot = colourise(noise(random, SIDE, SIDE, (8, 8), 3), ink)
    ragged = 0.5 * radius * (noise(random, SIDE, SIDE, (12, 12), 3) - 0.5)
    depth = np.full((SIDE, SIDE), -1e9)
    axis = np.arange(SIDE, dtype=np.float64)
    for x, y, size in random.uniform(count, 3):
        across = _around(axis, x * SIDE)[None, :]
        down = _around(axis, y * SIDE)[:, None]
        distance = np.sqrt(across * across + down * down)
        depth = np.maximum(depth, radius * (0.6 + 0.8 * size) - distance)
    blend = smooth((depth + ragged) / 3 + 0.5)[..., None]
    return _grain(random, base * (1 - blend) + blot * blend)


def checks(random: Random, palette: Palette, count: int) -> np.ndarray:
    """A woven cloth of squares with worn colours."""
    cell = np.arange(SIDE) * count // SIDE
    index = (cell[:, None] % 2) + (cell[None, :] % 2)
    colours = np.array([palette[0], palette[1 % len(palette)], palette[2 % len(palette)]])
    wear = 0.75 + 0.5 * noise(random, SIDE, SIDE, (4, 4), 4)
    return _grain(random, colours[index] * wear[..., None])


def bricks(random: Random, height: int, width: int, clay: Palette, mortar: Palette) -> np.ndarray:
    """A wall of 32 x 12 pixel bricks, every second course set off by half, each fired otherwise."""
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    course = rows // 12
    shifted = columns + 16 * (course % 2)
    lattice = random.uniform(height // 12 + 1, width // 32)
    fired = lattice[course, (shifted // 32) % lattice.shape[1]]
    rough = noise(random, height, width, (16, 32), 4)
    wall = colourise(np.clip(0.7 * fired + 0.6 * (rough - 0.3), 0, 1), clay)
    joint = ((rows % 12) < 2) | ((shifted % 32) < 2)
    return np.where(joint[..., None], colourise(rough, mortar), wall)


def leaves(
    random: Random,
    height: int,
    width: int,
    palettes: tuple[Palette, ...],
    *,
    count: int,
    radii: tuple[float, float],
    slim: float = 0.5,
) -> np.ndarray:
    """Dead leaves: overlapping shaded ellipses whose sizes fall off as a power law.

    The model of natural images of Lee, Mumford and Huang (IJCV 2001): its edges, occlusions and
    scale statistics are those of photographs. ``radii`` are the smallest and largest in pixels;
    ``slim`` the smallest ratio of the axes.
    """
    picture = colourise(noise(random, height, width, (4, 6), 5), palettes[0])
    grain = noise(random, height, width, (24, 32), 3)
    low, high = radii
    for size, x, y, turn, ratio, tone, pick, light in random.uniform(count, 8):
        # p(r) ~ 1 / r^3 between the two radii
        radius = low * high / np.sqrt(high**2 - size * (high**2 - low**2))
        aspect = slim + (1 - slim) * ratio
        reach = int(radius) + 2
        rows = np.arange(int(y * height) - reach, int(y * height) + reach + 1)
        columns = np.arange(int(x * width) - reach, int(x * width) + reach + 1)
        window = np.ix_(rows % height, columns % width)
        across, down = columns - x * width, (rows - y * height)[:, None]
        cosine, sine = _direction(turn)
        along = cosine * across + sine * down
        aside = (cosine * down - sine * across) / aspect
        distance = np.sqrt(along * along + aside * aside)
        cover = np.clip((radius - distance) * aspect + 0.5, 0.0, 1.0)[..., None]
        shade = 0.72 + 0.3 * light - 0.22 * (aside + along) / radius + 0.35 * (grain[window] - 0.5)
        value = np.clip(tone + 0.35 * (grain[window] - 0.5), 0.0, 1.0)
        colour = colourise(value, palettes[int(pick * len(palettes))]) * shade[..., None]
        picture[window] = picture[window] * (1 - cover) + colour * cover
    return np.clip(picture, 0.0, 255.0)


def bands(upper: np.ndarray, lower: np.ndarray, line: float, rough: np.ndarray) -> np.ndarray:
    """Put ``upper`` above a ragged line (a fraction of the height) and ``lower`` below it."""
    height = upper.shape[0]
    down = np.arange(height)[:, None] - line * height
    blend = smooth((down + 40 * (rough - 0.5)) / 4)[..., None]
    return upper * (1 - blend) + lower * blend


def sample(texture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear look-up, the tile repeated: coordinates of any shape S give colours (S, 3)."""
    height, width = texture.shape[:2]
    left, top = np.floor(x), np.floor(y)
    across, down = (x - left)[..., None], (y - top)[..., None]
    left, top = left.astype(np.int64) % width, top.astype(np.int64) % height
    right, bottom = (left + 1) % width, (top + 1) % height
    texels = texture.reshape(-1, 3)
    above = texels.take(top * width + left, axis=0) * (1 - across)
    above += texels.take(top * width + right, axis=0) * across
    below = texels.take(bottom * width + left, axis=0) * (1 - across)
    below += texels.take(bottom * width + right, axis=0) * across
    return above * (1 - down) + below * down


def _grain(random: Random, picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    grain = noise(random, height, width, (height // 6, width // 6), 2)
    return np.clip(picture * (0.78 + 0.44 * grain)[..., None], 0.0, 255.0)


def _around(axis: np.ndarray, centre: float) -> np.ndarray:
    """Signed distance on the circle of the tile."""
    return (axis - centre + SIDE / 2) % SIDE - SIDE / 2


def _direction(turn: float) -> tuple[float, float]:
    """A unit vector for a turn in [0, 1), half a circle."""
    across = 2 * turn - 1
    return across, (1 - across * across) ** 0.5
