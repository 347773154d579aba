"""What the three workers share: the case to be solved, and how time and memory are reported.

A worker is ``python WORKER.py CASE [CHECKOUT]``. The folder CASE holds

- ``features.npy``: (T, C, h, w) float32;
- ``JPEGImages/480p/clip/00000.jpg`` ...: T frames;
- ``Annotations/480p/clip/00000.png`` ...: grey PNGs of ids 0, 1, 2, ...; the first counts;
- ``case.json``: ``stride``, ``recent`` and the name of the ``preset``.

The worker writes ``<its name>/00000.png`` ... and ``<its name>.json``. The clock starts when
features, frames and first mask are in reach and stops when the last mask is written: features cost
nothing, everything else counts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np


class Case:
    """The files of one comparison."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = json.loads((folder / "case.json").read_text())
        self.features = np.load(folder / "features.npy", mmap_mode="r")
        self.frames = folder / "JPEGImages" / "480p" / "clip"
        self.masks = folder / "Annotations" / "480p" / "clip"

    def out(self, name: str) -> Path:
        """Where a worker writes its masks."""
        path = self.folder / name
        path.mkdir(exist_ok=True)
        return path

    def report(self, name: str, seconds: dict[str, float]) -> None:
        """Write seconds by stage (with ``total``) and the peak memory of this process."""
        # Not getrusage, which counts the process that started this one too.
        status = Path("/proc/self/status").read_text()
        peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
        record = {"seconds": seconds, "peak_memory_mb": peak}
        (self.folder / f"{name}.json").write_text(json.dumps(record))


def stand_in(*names: str) -> None:
    """Let a peer import packages that it needs for its pictures only, where they are missing."""
    for name in names:
        try:
            __import__(name)
        except ImportError:
            module = MagicMock(spec=ModuleType(name))
            module.__spec__ = None
            module.__path__ = []
            sys.modules[name] = module
