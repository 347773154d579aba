"""The workers that are timed beside one another do the same work, and no more is counted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import vos
from vos.media import read_mask, write_image, write_mask
from vos.propagation import Propagator, preset

WORKERS = Path(__file__).parents[2] / "tools" / "peers"
GRID, SIZE, FRAMES = (6, 8), (48, 64), 9

# What the worker of DINO takes from the script of DINO; reading takes long, and the rest nothing.
SLOW_READER = """
import time
from pathlib import Path

read_frame_list = lambda folder: sorted(map(str, Path(folder).glob("*.jpg")))
read_seg = lambda path, stride: (None, None)
restrict_neighborhood = lambda h, w: None

def read_frame(path):
    time.sleep(0.05)
    return path, 48, 64

def eval_video_tracking_davis(args, model, frames, *_):
    assert [read_frame(path)[0] for path in frames] == frames
"""


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """Features of noise, so that every context frame has a say; two context frames."""
    random = np.random.default_rng(0)
    np.save(tmp_path / "features.npy", random.normal(size=(FRAMES, 4, *GRID)).astype(np.float32))
    mask = np.zeros(SIZE, np.uint8)
    mask[10:40, 10:40] = 1
    for index in range(FRAMES):
        frame = random.integers(0, 255, (*SIZE, 3), np.uint8)
        write_image(tmp_path / f"JPEGImages/480p/clip/{index:05d}.jpg", frame)
        write_mask(tmp_path / f"Annotations/480p/clip/{index:05d}.png", mask)
    settings = {"stride": 8, "recent": 2, "preset": "crw"}
    (tmp_path / "case.json").write_text(json.dumps(settings), encoding="utf-8")
    return tmp_path


def run(worker: str, *arguments: str | Path) -> None:
    subprocess.run([sys.executable, str(WORKERS / worker), *map(str, arguments)], check=True)


def test_ours_has_as_many_context_frames_as_the_case(case: Path) -> None:
    run("ours.py", case)
    found = [read_mask(case / "vos" / f"{index:05d}.png") for index in range(FRAMES)]
    expected = {}
    for recent in (2, 20):
        propagator = Propagator(preset("crw").with_settings({"recent": recent}))
        features = torch.from_numpy(np.load(case / "features.npy"))
        propagator.annotate(0, features[0], found[0])
        steps = [propagator.step(index, features[index]) for index in range(1, FRAMES)]
        expected[recent] = np.stack([soft.mask(SIZE) for soft in steps])
    assert np.array_equal(np.stack(found[1:]), expected[2])
    assert not np.array_equal(expected[2], expected[20])


def test_reading_frames_is_no_part_of_dinos_time(case: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "dino checkout"
    checkout.mkdir()
    (checkout / "eval_video_segmentation.py").write_text(SLOW_READER, encoding="utf-8")
    run("dino.py", case, checkout)
    seconds = json.loads((case / "dino.json").read_text(encoding="utf-8"))["seconds"]
    assert seconds["reading"] > 0.05 * FRAMES
    assert seconds["total"] < 0.05


def test_a_whole_job_is_that_of_the_package(case: Path) -> None:
    run("video_vos.py", case, "fast")
    frames = case / "JPEGImages/480p/clip"
    first = read_mask(case / "Annotations/480p/clip/00000.png")
    for index, _, mask in vos.propagate(frames, {0: first}, preset="fast"):
        np.testing.assert_array_equal(read_mask(case / "vos" / f"{index:05d}.png"), mask)
    assert json.loads((case / "vos.json").read_text())["seconds"]["total"] > 0
