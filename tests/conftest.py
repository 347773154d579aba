"""Shared fixtures: the real development data where it is, small things that many tests want."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Tests that run beside one another share the processors: libraries that start a thread a processor
# in each of them would wait for one another. Before any of them is imported; commands inherit it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
from PIL import Image

from vos.media import write_mask

SIZE = (64, 96)  # height, width of the small scene


@pytest.fixture(autouse=True)
def log_as_at_the_start() -> Iterator[None]:
    """Commands that are called within a test set what the log lets through: it is set back."""
    log = logging.getLogger("vos")
    level, handlers, propagates = log.level, list(log.handlers), log.propagate
    log.setLevel(logging.NOTSET)
    yield
    log.setLevel(level)
    log.handlers[:], log.propagate = handlers, propagates


@pytest.fixture(autouse=True)
def list_of_files_outside(tmp_path_factory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs of a test write outside their folders is not listed in the user's cache."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setattr("vos.runs.outside.cache_folder", folder.joinpath)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the development data (`VOS_DATA`); tests that want it are skipped without."""
    value = os.environ.get("VOS_DATA")
    if not value:
        pytest.skip("VOS_DATA is not set: it names the folder of the development data")
    root = Path(value)
    if not root.is_dir():
        pytest.skip(f"VOS_DATA names no folder: {root}")
    return root


@pytest.fixture(scope="session")
def moving_scene() -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """By index: a frame, (64, 96, 3), and its mask of two objects that move; ids 2 and 7."""

    def scene(index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(3)
        frame = cv2.GaussianBlur(rng.integers(0, 90, (*SIZE, 3), np.uint8), (0, 0), 1.5)
        mask = np.zeros(SIZE, np.uint8)
        for object_id, colour, top, left in (
            (2, (210, 60, 40), 8, 10 + 2 * index),
            (7, (30, 200, 220), 36, 70 - 2 * index),
        ):
            texture = rng.integers(-25, 25, (20, 20, 1))
            box = np.s_[top : top + 20, left : left + 20]
            frame[box] = np.clip(np.array(colour) + texture, 0, 255)
            mask[box] = object_id
        return frame, mask

    return scene


@pytest.fixture
def write_davis(moving_scene, tmp_path: Path) -> Callable[..., Path]:
    """A DAVIS-2017 folder of the small scene, in a path with spaces and accents."""

    def write(*names: str, frames: int = 6, folder: str = "mes données") -> Path:
        root = tmp_path / folder
        (root / "ImageSets/2017").mkdir(parents=True)
        (root / "ImageSets/2017/val.txt").write_text("".join(f"{name}\n" for name in names))
        for shift, name in enumerate(names):
            images = root / "JPEGImages/480p" / name
            images.mkdir(parents=True)
            for index in range(frames):
                frame, mask = moving_scene(index + shift)
                Image.fromarray(frame).save(images / f"{index:05d}.jpg", quality=95)
                write_mask(root / "Annotations/480p" / name / f"{index:05d}.png", mask)
        return root

    return write


@pytest.fixture
def write_youtube_vos(moving_scene, tmp_path: Path) -> Callable[[str], Path]:
    """A YouTube-VOS folder with one split of two videos of six frames, every fifth of a camera.

    In ``0a1b`` object 2 begins in frame 0 and object 7 in frame 2; in ``c2d3`` one frame later
    each. ``train`` has whole masks for frames 0, 2 and 4 (1, 3 and 5); ``valid`` only where objects
    begin, and of those objects.
    """

    def write(split: str) -> Path:
        root = tmp_path / "youtube vos"
        videos = {}
        for name, start in (("0a1b", 0), ("c2d3", 1)):
            begins = {2: start, 7: start + 2}
            stems = [f"{5 * index:05d}" for index in range(6)]
            for index, stem in enumerate(stems):
                frame, mask = moving_scene(index)
                images = root / split / "JPEGImages" / name
                images.mkdir(parents=True, exist_ok=True)
                Image.fromarray(frame).save(images / f"{stem}.jpg", quality=95)
                shown = [id for id, first in begins.items() if first <= index]
                if split == "valid":
                    shown = [id for id, first in begins.items() if first == index]
                if shown and (index - start) % 2 == 0:
                    only = np.where(np.isin(mask, shown), mask, 0).astype(np.uint8)
                    write_mask(root / split / "Annotations" / name / f"{stem}.png", only)
            videos[name] = {
                "objects": {
                    str(id): {"category": "thing", "frames": stems[first:]}
                    for id, first in begins.items()
                }
            }
        (root / split / "meta.json").write_text(json.dumps({"videos": videos}))
        return root

    return write


@pytest.fixture(scope="session")
def in_interpreter(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """Runs a program, which saves a list of results, over cases in Triton's interpreter.

    The program is given the files of the cases and of the results.
    """

    def run(program: str, cases: dict[str, Any]) -> dict[str, Any]:
        import torch

        folder = tmp_path_factory.mktemp("triton")
        torch.save(list(cases.values()), folder / "cases.pt")
        subprocess.run(
            [sys.executable, "-c", program, folder / "cases.pt", folder / "results.pt"],
            env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
            check=True,
        )
        return dict(zip(cases, torch.load(folder / "results.pt"), strict=True))

    return run


@pytest.fixture(scope="session")
def compiled_for_cuda() -> Callable[..., Any]:
    """Compiles a Triton kernel for an NVIDIA card, an H100 unless told; none is needed here.

    Triton's interpreter takes much that its compiler refuses.
    """

    def run(
        kernel: Any, types: dict[str, str], constants: dict[str, Any], capability: int = 90
    ) -> Any:
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource

        signature = {name: types.get(name, "constexpr") for name in kernel.arg_names}
        places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
        source = ASTSource(fn=kernel, signature=signature, constexprs=places)
        options = {"num_stages": 1} if "PRECISION" in constants else {}
        return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)

    return run
