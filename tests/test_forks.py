"""Children that are forked after vos was used compute too."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import os, signal
import numpy as np, torch
import vos
from vos.objectives import RoundTrip, inverse_consistency_loss

rng = np.random.default_rng(0)
frames = [rng.integers(0, 255, (60, 80, 3), np.uint8) for _ in range(2)]
mask = np.zeros((60, 80), np.uint8)
mask[20:40, 20:40] = 1
trip = RoundTrip(*(torch.randn(2, 1200, 16) for _ in range(4)))
backbone = vos.load("lab")
from vos.backbones.inference import FeatureExtractor
from vos.propagation import Propagator, preset

def work():
    extract = FeatureExtractor(backbone, "cpu")
    propagator = Propagator(preset("crw"))
    propagator.annotate(0, extract(frames[:1])[0], mask)
    found = propagator.step(1, extract(frames[1:])[0]).mask((60, 80))
    return found.sum(), float(inverse_consistency_loss(trip))

work()
child = os.fork()
if not child:
    signal.alarm(200)
    work()
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""


def test_a_forked_child_segments_and_computes_losses() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "0", done.stderr
