"""Render the built-in sample again: frames, exact masks, lists, and exact tracks of points.

    python tools/render_sample.py FOLDER      # a new folder, in DAVIS-2017 layout

The folder is what ``vos/datasets/sample_data`` holds. Whoever changes a scene replaces that folder
by the new one; every figure on the sample then changes. Frames are JPEG, as in DAVIS: quality 95
without chroma subsampling, which every build of libjpeg encodes and decodes alike, progressive,
which is smaller and decodes to the same pixels.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from sample_renderer.render import Scene, render
from sample_renderer.scenes import SCENES
from sample_renderer.tracks import Tracks, track_in_scene

from vos.cli.exit_codes import exit_cleanly
from vos.datasets.sample import LISTS, SPLIT, TRACKS_NAME
from vos.errors import VosError
from vos.media import write_mask
from vos.progress import progress

CLICKS = 8  # tracked points per object


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="a new or empty folder")
    render_sample(parser.parse_args().folder)


def render_sample(folder: Path, scenes: tuple[Callable[[], Scene], ...] = SCENES) -> None:
    """Render the clips into ``folder``.

    Raises:
        VosError: the folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise VosError(f"{folder} exists already: choose a new or empty folder")
    names = []
    tracks: dict[str, np.ndarray] = {}
    with (
        ThreadPoolExecutor(min(len(scenes), os.cpu_count() or 1)) as pool,
        progress(total=len(scenes), description="rendering the sample", unit="clip") as bar,
    ):
        for name, found in pool.map(lambda make: render_clip(folder, make()), scenes):
            names.append(name)
            tracks[f"{name}/points"], tracks[f"{name}/visible"] = found
            bar.update()
    (folder / LISTS).mkdir(parents=True)
    lines = "".join(f"{name}\n" for name in names)
    (folder / LISTS / f"{SPLIT}.txt").write_text(lines, encoding="utf-8")
    np.savez_compressed(folder / TRACKS_NAME, **tracks)


def render_clip(root: Path, scene: Scene) -> tuple[str, Tracks]:
    """Write frames and masks of a scene; return its name and the tracks of its points."""
    images = root / "JPEGImages" / "480p" / scene.name
    masks = root / "Annotations" / "480p" / scene.name
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    points = np.zeros((0, 2))
    for index, (frame, mask) in enumerate(render(scene)):
        Image.fromarray(frame).save(
            images / f"{index:05d}.jpg", quality=95, subsampling=0, optimize=True, progressive=True
        )
        write_mask(masks / f"{index:05d}.png", mask)
        if index == 0:
            points = click(mask)
    return scene.name, track_in_scene(scene, points)


def click(mask: np.ndarray) -> np.ndarray:
    """Choose :data:`CLICKS` pixels of each object, (N, 2) as x, y: object 1 first."""
    random = np.random.default_rng(0)
    points = []
    for object_id in range(1, int(mask.max()) + 1):
        rows, columns = np.nonzero(mask == object_id)
        chosen = random.permutation(len(rows))[:CLICKS]
        points.append(np.stack([columns[chosen], rows[chosen]], 1))
    return np.concatenate(points).astype(float)


if __name__ == "__main__":
    with exit_cleanly("render_sample"):
        main()
