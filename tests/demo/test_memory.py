"""What a session keeps in memory does not grow with the length of its video."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
from films import film

from vos.demo import canvas
from vos.demo.limits import Limits
from vos.demo.queue import Models, propagate
from vos.demo.session import Session
from vos.demo.strip import strips

SIZE = (64, 96)


def watched_run(folder: Path, models: Models, count: int) -> int:
    """Propagate through ``count`` frames as someone looks on; bytes that are held at the last one.

    There no frame is read ahead any more, so that chance has no part in it.
    """
    held = 0
    ground = np.random.default_rng(0).integers(0, 70, (*SIZE, 3), np.uint8)
    path = film(folder / f"{count}.mp4", (np.roll(ground, t // 8, 1) for t in range(count)))
    session = Session(folder / str(count), Limits())
    clip = session.open(path)
    mask = np.zeros(SIZE, np.uint8)
    mask[10:30, 10:30] = 1
    session.annotate(0, mask)
    for step in propagate(session, models, "whole", model="lab", preset="default"):
        if step.done % 10 == 0:
            canvas.shown(session, step.index)
            assert len(strips(session.objects, clip.work, clip.trim)) < 2000
        if step.done == step.total:
            held = tracemalloc.get_traced_memory()[0]
    assert len(session.masked_frames()) == count, "masks lie on disk"
    return held


def test_memory_does_not_grow_with_the_video(tmp_path):
    models = Models("cpu")
    watched_run(tmp_path, models, 12)  # what is loaded and compiled once
    held = []
    for count in (50, 150):
        tracemalloc.start()
        held.append(watched_run(tmp_path, models, count))
        tracemalloc.stop()
    a_mask = SIZE[0] * SIZE[1]
    # Kept masks would add 100 of them; frames on their way, computed ahead, vary by some.
    assert held[1] - held[0] < 100 * a_mask / 4, f"bytes at 50 and at 150 frames: {held}"
