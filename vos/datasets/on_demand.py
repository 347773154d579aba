"""Frames that are decoded when they are asked for: for sets of clips that fit nowhere decoded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np


class FramesOnDemand:
    """The frames of a clip as an array would give them: ``shape``, ``len`` and one by one.

    Args:
        count: number of frames.
        read: a function from the number of a frame to (H, W, 3) uint8 RGB.

    Attributes:
        shape: (T, H, W, 3), by the first frame.
    """

    def __init__(self, count: int, read: Callable[[int], np.ndarray]) -> None:
        self._read = read
        self._lock = threading.Lock()  # a decoder is at one place at a time
        self.shape = (count, *self[0].shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> np.ndarray:
        with self._lock:
            return self._read(index)


def read_list(path: Path) -> list[Path]:
    """Return the paths of a list file, one per line, relative ones from where the list lies.

    Empty lines and those that begin with ``#`` are passed over.
    """
    lines: Sequence[str] = path.read_text(encoding="utf-8").splitlines()
    names = [line.strip() for line in lines]
    return [path.parent / name for name in names if name and not name.startswith("#")]
