"""The rendered sample on disk: written whole or not at all, and cached by version."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from PIL import Image

from vos.caches import cache_folder
from vos.datasets.davis import open_davis
from vos.datasets.sample.render import Scene, render
from vos.datasets.sample.scenes import SCENES
from vos.datasets.sequence import Dataset
from vos.errors import MissingError, UsageError, VosError
from vos.media.masks import write_mask
from vos.progress import progress

SAMPLE_VERSION = 1  # raise it whenever a pixel changes: caches are named by it
SPLIT = "val"


def open_sample(
    *,
    root: Path | str | None = None,
    split: str | None = None,
    sequences: Iterable[str] | None = None,
) -> Dataset:
    """Open the sample, rendering it into the cache first if it is not there.

    Args:
        root: a folder written by ``render_sample`` to read instead of the cache.
        split: the sample has one, ``val``.
        sequences: names to keep, in this order.

    Raises:
        UsageError: another split, or an unknown sequence.
        MissingError: ``root`` holds no sample.
        VosError: the cache cannot be written.
    """
    if split not in (None, SPLIT):
        raise UsageError(f"the sample has no split {split!r}: it has one, {SPLIT}")
    if root is None:
        folder = sample_folder()
        if not folder.is_dir():
            render_sample(folder)
    else:
        folder = Path(root)
        if not folder.is_dir():
            raise MissingError(f"no sample at {folder}: `vos data sample {folder}` renders it")
    opened = open_davis(folder, split=SPLIT, sequences=sequences)
    return replace(opened, name="sample")


def sample_folder() -> Path:
    """Return the folder where the sample is cached, see `vos.caches.cache_folder`."""
    return cache_folder(f"sample-{SAMPLE_VERSION}")


def render_sample(
    folder: Path, *, scenes: tuple[Callable[[], Scene], ...] = SCENES, split: str = SPLIT
) -> None:
    """Render the clips into ``folder`` in DAVIS-2017 layout, atomically.

    ``folder`` must not exist or be empty. When two processes render at once, one of them wins and
    the other uses its result.

    Raises:
        VosError: the folder holds something already, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise VosError(f"{folder} exists already: choose a new or empty folder for the sample")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise VosError(f"cannot write {folder}: {error.strerror or error}") from error
    try:
        _render_all(temporary, scenes, split)
        temporary.chmod(0o755)
        _move(temporary, folder)
    except OSError as error:
        raise VosError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _render_all(root: Path, scenes: tuple[Callable[[], Scene], ...], split: str) -> None:
    with (
        ThreadPoolExecutor(min(len(scenes), os.cpu_count() or 1)) as pool,
        progress(total=len(scenes), description="rendering the sample", unit="clip") as bar,
    ):
        names = []
        for name in pool.map(lambda scene: _render_clip(root, scene()), scenes):
            names.append(name)
            bar.update()
    lists = root / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _render_clip(root: Path, scene: Scene) -> str:
    images = root / "JPEGImages" / "480p" / scene.name
    masks = root / "Annotations" / "480p" / scene.name
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    for index, (frame, mask) in enumerate(render(scene)):
        picture = Image.fromarray(frame)
        picture.save(images / f"{index:05d}.jpg", quality=95, subsampling=0)
        write_mask(masks / f"{index:05d}.png", mask)
    return scene.name


def _move(temporary: Path, folder: Path) -> None:
    try:
        temporary.replace(folder)
    except OSError:
        if not (folder / "ImageSets" / "2017").is_dir():
            raise  # not another process that rendered the same
