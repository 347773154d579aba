"""What the workers share: the case to be solved, and how time and memory are reported.

A worker is ``python WORKER.py CASE [CHECKOUT]``. The folder CASE holds

- ``JPEGImages/480p/clip/00000.jpg`` ...: T frames;
- ``Annotations/480p/clip/00000.png`` ...: grey PNGs of ids 0, 1, 2, ...; the first counts;
- for workers that get features, ``features.npy``: (T, C, h, w) float32, and ``case.json``:
  ``stride``, ``recent`` and the name of the ``preset``.

The worker writes ``<its name>/00000.png`` ... and ``<its name>.json``. The clock starts when
frames, first mask and features (or their network) are in reach and stops when the last
mask is written: given features cost nothing, everything else counts. Memory is told twice: the
peak of the process, and what of it came after its libraries were there (`Clip.begin`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np


class Clip:
    """The frames of one comparison and the mask of the first; what is found goes there, too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._libraries_mb = 0.0
        self.frames = folder / "JPEGImages" / "480p" / "clip"
        self.masks = folder / "Annotations" / "480p" / "clip"

    def begin(self) -> None:
        """Say that all libraries are imported: what they take is not what the work takes."""
        self._libraries_mb = _status_mb("VmRSS")

    def out(self, name: str) -> Path:
        """Where a worker writes its masks."""
        path = self.folder / name
        path.mkdir(exist_ok=True)
        return path

    def report(self, name: str, seconds: dict[str, float]) -> None:
        """Write seconds by stage (with ``total``) and the peak memory of this process."""
        peak = _status_mb("VmHWM")
        record = {
            "seconds": seconds,
            "peak_memory_mb": peak,
            "working_memory_mb": peak - self._libraries_mb,
        }
        (self.folder / f"{name}.json").write_text(json.dumps(record))


class Case(Clip):
    """A clip with its features: only propagation is compared."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.settings = json.loads((folder / "case.json").read_text())
        self.features = FeatureFile(folder / "features.npy")


class FeatureFile:
    """``features.npy``, of which no more is in memory than was taken out: (T, C, h, w) float32."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.shape = np.load(path, mmap_mode="r").shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, frames: int | slice) -> np.ndarray:
        """A copy of the features of some frames."""
        return np.array(np.load(self._path, mmap_mode="r")[frames])

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[frame] for frame in range(len(self)))


def _status_mb(field: str) -> float:
    """A field of the status of this process in MiB.

    Not getrusage, which counts the process that started this one too.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


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
