"""The command for a bare GPU machine, rehearsed on a processor without the packages it lacks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import vos
from vos.media import VideoWriter, write_mask
from vos.media.images import write_image

TOOL = Path(__file__).parents[2] / "tools" / "train_on_gpu.py"

# What the machine lacks is looked for in the pack alone.
BARE = """
import runpy, sys
from importlib.machinery import PathFinder
absent = {
    "av", "kornia", "pycocotools", "zlib_ng", "gradio", "zarr", "ray", "omegaconf",
    "lightning_fabric", "lightning_utilities",
}
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in absent:
            found = PathFinder.find_spec(name, [sys.argv[2] + "/site"])
            if found is None:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return found
sys.meta_path.insert(0, Finder())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def material(tmp_path: Path) -> Path:
    """A video that moves, a photo and a sequence with masks."""
    random = np.random.default_rng(0)
    texture = cv2.resize(random.integers(0, 256, (9, 12, 3)).astype(np.uint8), (96, 72))
    frames = [np.ascontiguousarray(np.roll(texture, 3 * t, axis=1)[:48, :64]) for t in range(6)]
    (tmp_path / "clips").mkdir()
    with VideoWriter(tmp_path / "clips" / "moves.mp4", fps=10, size=(48, 64)) as video:
        for frame in frames:
            video.write(frame)
    write_image(tmp_path / "photos" / "bird.png", frames[0])
    for index, frame in enumerate(frames[:3]):
        mask = np.zeros((48, 64), np.uint8)
        mask[12:36, 10 + 3 * index : 34 + 3 * index] = 1
        write_image(tmp_path / f"davis/JPEGImages/480p/car/{index:05d}.jpg", frame)
        folder = tmp_path / "davis/Annotations/480p/car"
        folder.mkdir(parents=True, exist_ok=True)
        write_mask(folder / f"{index:05d}.png", mask)
    return tmp_path


def run(program: list[str]) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        program, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


@pytest.mark.slow
def test_pack_then_train_then_go_on_without_what_a_bare_machine_lacks(material: Path) -> None:
    pack, out = material / "pack", material / "run"
    places = [f"--{name}={material / name}" for name in ("clips", "photos", "davis")]
    said = run([sys.executable, str(TOOL), "pack", str(pack), *places, "--sequences", "car"])
    assert "1 clips (0 did not fit), 1 photos" in said
    settings = (
        "steps=1", "batch=2", "objective.pool=2", "crop.size=32", "compile=false", "log_every=1",
        "evaluation.every=1", "data.workers=1",
        "model.backbone=resnet18,layer=1,stride=4,head=8,output=head",
    )  # fmt: skip
    command = [sys.executable, "-c", BARE, str(TOOL), "train", str(pack), f"--out={out}"]
    command += ["--device=cpu", *(f"--set={setting}" for setting in settings)]
    said = run(command)
    assert re.search(r"step 1 of 1, loss .*, J&F 0\.\d+, .* pairs per second, .* for crops", said)
    assert re.search(r"2 pairs in \d+ seconds", said)
    said = run([*command, "--set=steps=2"])
    assert "resumed at step 1 of 2" in said
    rows = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(row)["step"] for row in rows] == [1, 2]
    assert vos.load(str(out / "weights-best")).stride == 4
