"""A long clip: memory stays flat, and a run that was killed goes on."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import vos
from vos.errors import VosError
from vos.media import VideoWriter

FRAMES = 2500
SIZE = (64, 96)
SHARD = 2 * 2**20  # bytes; 2,500 frames fill 44 of these

# `vos export`, which notes its resident size (MiB) at some frames and may die at one.
PROGRAM = """
import json, os, signal, sys
import psutil
import vos.backbones.inference as inference
import vos.export.zarr_store as zarr_store
from vos.export.stream import FeatureStream
# A warm-up would take longer than all frames of this size.
inference.ONNX_FRAMES = inference.COMPILE_FRAMES = 10**9
zarr_store.SHARD_BYTES = {shard}
plain, sizes = FeatureStream._as_stored, {{}}
def noted(self, feature, number):
    if number % 250 == 0:
        sizes[number] = psutil.Process().memory_info().rss / 2**20
    if number == {dies_at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(self, feature, number)
FeatureStream._as_stored = noted
from vos.cli.app import main
sys.argv = ["vos", "export", {clip!r}, "--out", {out!r}, "--model", "lab",
            "--device", "cpu", "-q"]
try:
    main()
finally:
    print(json.dumps(sizes), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    scene = np.kron(np.random.default_rng(0).integers(0, 256, (40, 60, 3)), np.ones((8, 8, 1)))
    scene = scene.astype(np.uint8)
    with VideoWriter(path, fps=30, size=SIZE) as writer:
        for index in range(FRAMES):
            left = abs(index % 600 - 300)  # to and fro
            writer.write(scene[50 : 50 + SIZE[0], left : left + SIZE[1]])
    return path


@pytest.mark.slow
def test_flat_memory_and_going_on_after_kill_9(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "long.zarr"

    def export(dies_at: int) -> subprocess.CompletedProcess[str]:
        program = PROGRAM.format(shard=SHARD, dies_at=dies_at, clip=str(clip), out=str(out))
        command = [sys.executable, "-c", program]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    assert export(1350).returncode == -signal.SIGKILL
    with pytest.raises(VosError, match="is not finished") as raised:
        vos.open_features(out)
    (missing,) = map(int, re.findall(r"(\d+) of 2500 frames are missing", str(raised.value)))
    assert 1150 <= missing <= 1150 + 2 * (SHARD // (192 * 8 * 12 * 2))

    ended = export(-1)
    assert ended.returncode == 0, ended.stderr
    sizes = {
        int(number): size for number, size in json.loads(ended.stderr.splitlines()[-1]).items()
    }
    assert min(sizes) >= FRAMES - missing  # the frames before were not computed again
    # 26 MiB of features are written between these frames.
    assert sizes[2250] - sizes[1500] < 13
    features = vos.open_features(out)
    assert features.shape == (FRAMES, 192, 8, 12)
    backbone = vos.load("lab")
    for number in (0, 1325, 1350, 2499):
        frame = vos.open_video(clip)[number]
        image = torch.from_numpy(frame.transpose(2, 0, 1)[None] / np.float32(255))
        with torch.inference_mode():
            expected = backbone(image)[0].numpy()
        np.testing.assert_allclose(features[number], expected, rtol=2e-3, atol=2e-3)
