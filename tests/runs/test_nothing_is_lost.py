"""Whatever a command is given for its outputs, and however it ends, every input stays as it was."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from vos.cli.app import app
from vos.errors import VosError
from vos.media import VideoWriter, write_mask

SIZE = (24, 32)  # height, width
FRAMES = 3
PLACES = (
    # what is read, by its own name
    *("shot", "shot/00001.png", "clip.mp4", "mask.png", "given", "given/shot.png", "davis"),
    *("davis/Annotations/480p", "davis/JPEGImages/480p/ant", "results", "results/ant"),
    # by other names
    *("link to shot", "soft.png", "hard.png", "hard.mp4", "here/shot", "here/clip.mp4"),
    # around it
    *(".", "shot/masks", "shot/new.png", "shot/new.mp4", "given/shot", "results/new"),
    *("davis/Annotations/480p/new", "davis/new", "notes", "notes/notes.txt"),
    # elsewhere
    *("new", "new/deep", "here/new", "new.mp4", "new.json", "new.zarr", "new.npz", "shot/new.zarr"),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames, a film, masks, a data set, results, notes of someone; and links among them."""
    root = tmp_path_factory.mktemp("world") / "world"
    random = np.random.default_rng(0)
    ground = random.integers(0, 90, (*SIZE, 3), np.uint8)
    frames, masks = [], []
    for index in range(FRAMES):
        mask = np.zeros(SIZE, np.uint8)
        mask[6:14, 4 + 3 * index : 12 + 3 * index] = 1
        frames.append(np.where(mask[..., None] > 0, (200, 60, 40), ground).astype(np.uint8))
        masks.append(mask)
        for folder in ("shot", "davis/JPEGImages/480p/ant"):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(frames[-1]).save(root / folder / f"{index:05d}.png")
        for folder in ("davis/Annotations/480p/ant", "results/ant"):
            write_mask(root / folder / f"{index:05d}.png", mask)
    with VideoWriter(root / "clip.mp4", fps=10, size=SIZE) as writer:
        for frame in frames:
            writer.write(frame)
    for path in ("mask.png", "given/shot.png", "given/clip.png"):
        write_mask(root / path, masks[0])
    (root / "davis/ImageSets/2017").mkdir(parents=True)
    (root / "davis/ImageSets/2017/val.txt").write_text("ant\n")
    (root / "notes").mkdir()
    (root / "notes/notes.txt").write_text("mine")
    return root


@contextmanager
def copied(world: Path) -> Iterator[Path]:
    """A copy to work in, with links among the files."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "world"
        shutil.copytree(world, root)
        (root / "link to shot").symlink_to(root / "shot")
        (root / "here").symlink_to(root)
        (root / "soft.png").symlink_to(root / "mask.png")
        os.link(root / "mask.png", root / "hard.png")
        os.link(root / "clip.mp4", root / "hard.mp4")
        before = Path.cwd()
        os.chdir(root)
        try:
            yield root
        finally:
            os.chdir(before)


def contents(root: Path) -> dict[str, bytes | str]:
    """What every file holds, and where every link leads."""
    found: dict[str, bytes | str] = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink():
                found[str(path)] = str(path.readlink())
            elif path.is_file():
                found[str(path)] = path.read_bytes()
    return found


@contextmanager
def interrupted(at: int | None) -> Iterator[None]:
    """Ctrl-C just before, or just after, the n-th file takes its name."""
    replace, count = Path.replace, 0
    ours = ("MainThread", "ThreadPoolExecutor")  # the loop of zarr would wait for ever

    def counted(self: Path, target: Path) -> Path:
        nonlocal count
        if not threading.current_thread().name.startswith(ours):
            return replace(self, target)
        count += 1
        if at is not None and count == at // 2:
            if at % 2:
                replace(self, target)
            raise KeyboardInterrupt
        return replace(self, target)

    with mock.patch.object(Path, "replace", counted):
        yield


def run(arguments: list[str], stop: int | None = None) -> None:
    with interrupted(stop):
        ended = CliRunner().invoke(app, arguments)
    if ended.exception is not None:
        assert isinstance(ended.exception, SystemExit | VosError | KeyboardInterrupt), (
            arguments,
            ended.exception,
        )


def check(world: Path, arguments: list[str], stop: int | None, overwrite: bool) -> None:
    """Every file is what it was: after the command stopped, went on, and was started anew."""
    with copied(world) as root:
        before = contents(root)
        for more, at in (([], stop), ([], None), (["--overwrite"] if overwrite else [], stop)):
            run([*arguments, *more], at)
            after = contents(root)
            assert {path: after.get(path) for path in before} == before, (arguments, more, at)


PLACE = st.sampled_from(PLACES)
MAYBE = st.one_of(st.none(), PLACE)
STOP = st.one_of(st.none(), st.integers(2, 12))
CHEAP = ["--model", "lab,stride=4", "--device", "cpu", "-q"]


def few(examples: int):
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def options(**paths: str | None) -> list[str]:
    return [part for name, path in paths.items() if path for part in (f"--{name}", path)]


@few(20)
@given(
    video=st.sampled_from(["shot", "clip.mp4", "link to shot", "hard.mp4", "here/shot"]),
    mask=st.sampled_from(["mask.png", "soft.png", "hard.png", "shot/00000.png"]),
    out=PLACE,
    overlay=MAYBE,
    rle=MAYBE,
    stop=STOP,
    overwrite=st.booleans(),
)
def test_propagate(world, video, mask, out, overlay, rle, stop, overwrite) -> None:
    arguments = ["propagate", video, "--mask", mask, "--out", out, *CHEAP]
    check(world, [*arguments, *options(overlay=overlay, rle=rle)], stop, overwrite)


@few(10)
@given(out=PLACE, overlay=MAYBE, rle=MAYBE, stop=STOP, overwrite=st.booleans())
def test_propagate_many(world, out, overlay, rle, stop, overwrite) -> None:
    arguments = ["propagate", "shot", "clip.mp4", "--masks", "given", "--out", out, *CHEAP]
    check(world, [*arguments, *options(overlay=overlay, rle=rle)], stop, overwrite)


@few(10)
@given(
    videos=st.sampled_from([["shot"], ["hard.mp4"], ["shot", "clip.mp4"]]),
    out=st.one_of(PLACE, st.sampled_from(["new.zarr", "new.npz", "shot/new.zarr"])),
    pca=MAYBE,
    stop=STOP,
    overwrite=st.booleans(),
)
def test_export(world, videos, out, pca, stop, overwrite) -> None:
    arguments = ["export", *videos, "--out", out, *CHEAP, *options(pca=pca)]
    check(world, arguments, stop, overwrite)


@few(8)
@given(out=PLACE, stop=STOP, overwrite=st.booleans())
def test_eval(world, out, stop, overwrite) -> None:
    arguments = ["eval", "--dataset", "davis", "--root", "davis", "--out", out, "--no-report"]
    check(world, [*arguments, *CHEAP], stop, overwrite)


@few(8)
@given(
    results=st.sampled_from(["results", "davis/Annotations/480p", "here/results"]),
    out=MAYBE,
    stop=STOP,
)
def test_score(world, results, out, stop) -> None:
    arguments = ["score", results, "--dataset", "davis", "--root", "davis", "--workers", "1"]
    check(world, [*arguments, *options(out=out)], stop, overwrite=False)


@few(3)
@given(
    data=st.sampled_from(["shot", "clip.mp4", "."]), out=PLACE, stop=STOP, overwrite=st.booleans()
)
def test_train(world, data, out, stop, overwrite) -> None:
    arguments = ["train", "icon-none-tiny", "--data", data, "--out", out, "--device", "cpu", "-q"]
    small = ("steps=1", "batch=2", "crop.size=16", "data.short_side=24", "model.backbone=small")
    changes = [part for change in small for part in ("--set", change)]
    check(world, [*arguments, *changes], stop, overwrite)
