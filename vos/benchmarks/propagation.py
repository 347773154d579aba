"""How fast labels are carried, and how time and memory grow with context, objects, size, length.

Features are made once, from a sequence of the sample data set enlarged to the size of DAVIS; each
measurement then runs in a process of its own, so that its peak of memory is its own:
``python -m vos.benchmarks.propagation '{"features": "....npy", ...}'`` prints one.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from vos.errors import VosError
from vos.machine import peak_memory_mb
from vos.propagation import PropagationConfig, Propagator, frame_size, preset
from vos.propagation.window import half_widths

SEQUENCE = "street"


@dataclass(frozen=True)
class Case:
    """One measurement. ``frames`` beyond those of the features go through them again."""

    preset: str
    recent: int
    objects: int
    short_side: int
    frames: int
    engine: str = "auto"


@dataclass(frozen=True)
class PropagationSpeed:
    """What one case takes, features not counted.

    Attributes:
        seconds: of a frame, propagation and mask, once the context is full.
        propagation: the part of it that makes soft labels; the rest makes masks.
        memory_mb: peak of the process, MiB.
        grid: height and width in tokens.
        gflops: 2 N n w C over ``propagation``: N tokens, n context frames, windows of w tokens, C
            channels; work that labels make unnecessary counts as done.
        matrix_gflops: what this machine's matrix product reaches with C terms a sum.
    """

    case: Case
    seconds: float
    propagation: float
    memory_mb: float
    grid: tuple[int, int]
    gflops: float
    matrix_gflops: float

    @property
    def share(self) -> float:
        """Share of the machine's matrix-product rate; above 1 where labels save the work."""
        return self.gflops / self.matrix_gflops


def bench_propagation(cases: list[Case], *, model: str = "resnet18") -> Iterator[PropagationSpeed]:
    """Measure each case, one after another.

    Raises:
        UsageError: unknown preset or model.
        VosError: a measurement failed.
    """
    with tempfile.TemporaryDirectory(prefix="vos-bench-") as folder:
        made: dict[tuple[str, int], Path] = {}
        for case in cases:
            key = (case.preset, case.short_side)
            if key not in made:
                made[key] = Path(folder) / f"{case.preset}-{case.short_side}"
                _make_features(made[key], _config(case), case.short_side, model)
            yield _measure_apart(case, made[key])


def default_cases(name: str, frames: int, engine: str = "auto") -> list[Case]:
    """Return cases in which context frames, objects, resolution or length grow."""
    base = Case(name, preset(name).recent, 1, 480, frames, engine)
    return [
        *(dataclasses.replace(base, recent=recent) for recent in (7, 20)),
        *(dataclasses.replace(base, objects=objects) for objects in (3, 10, 50)),
        *(dataclasses.replace(base, short_side=side) for side in (240, 720)),
        *(dataclasses.replace(base, short_side=240, frames=length) for length in (100, 1000)),
    ]


def cut_into_parts(mask: np.ndarray, parts: int) -> np.ndarray:
    """Cut the objects of an (H, W) mask into vertical strips of equal area, ids 1, 2, ..."""
    places = np.flatnonzero((mask.T > 0) & (mask.T < 255))
    strips = np.zeros(mask.T.size, np.uint8)
    for number, part in enumerate(np.array_split(places, parts), start=1):
        strips[part] = number
    return np.ascontiguousarray(strips.reshape(mask.T.shape).T)


def _config(case: Case) -> PropagationConfig:
    return dataclasses.replace(preset(case.preset), recent=case.recent)


def _make_features(folder: Path, config: PropagationConfig, short_side: int, model: str) -> None:
    """Write features of a clip of the sample at 16:9, and its first mask, as files."""
    import cv2

    from vos.backbones import load
    from vos.backbones.inference import FeatureExtractor
    from vos.datasets import open_dataset
    from vos.propagation.frame_size import resize_frame

    folder.mkdir()
    sequence = open_dataset("sample", sequences=[SEQUENCE]).sequences[0]
    extractor = FeatureExtractor(load(model), torch.device("cpu"))
    size = (short_side, round(short_side * 854 / 480))
    seen = frame_size(*size, dataclasses.replace(config, short_side=None), extractor.stride)
    maps = []
    for index in range(len(sequence)):
        frame = cv2.resize(sequence.frame(index), size[::-1], interpolation=cv2.INTER_CUBIC)
        maps.append(extractor([resize_frame(frame, seen, config.resampling)])[0].numpy())
    mask = cv2.resize(sequence.mask(0), size[::-1], interpolation=cv2.INTER_NEAREST)
    np.save(folder / "features.npy", np.stack(maps))
    np.save(folder / "mask.npy", mask)


def _measure_apart(case: Case, folder: Path) -> PropagationSpeed:
    command = [
        sys.executable,
        "-m",
        "vos.benchmarks.propagation",
        json.dumps(asdict(case)),
        str(folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise VosError(f"measuring {case} failed: {last}")
    record = json.loads(done.stdout.splitlines()[-1])
    return PropagationSpeed(**{**record, "case": case, "grid": tuple(record["grid"])})


def measure(case: Case, folder: Path) -> PropagationSpeed:
    """Measure in this process, whose peak of memory must still be its own."""

    maps = np.load(folder / "features.npy", mmap_mode="r")
    mask = cut_into_parts(np.load(folder / "mask.npy"), case.objects)
    config = _config(case)
    propagator = Propagator(config, engine=case.engine)
    channels, *grid = maps.shape[1:]
    steps, masks = [], []
    for index in range(case.frames):
        # There and back again, so that what follows always resembles what was.
        place = index % (2 * len(maps) - 2)
        features = torch.from_numpy(np.array(maps[min(place, 2 * len(maps) - 2 - place)]))
        start = time.perf_counter()
        if index == 0:
            soft = propagator.annotate(index, features, mask)
        else:
            soft = propagator.step(index, features)
        between = time.perf_counter()
        soft.mask(mask.shape)
        steps.append(between - start)
        masks.append(time.perf_counter() - between)
    memory = peak_memory_mb()
    full = slice(min(case.recent + 1, case.frames // 2), None)
    propagation = float(np.mean(steps[full]))
    tokens = grid[0] * grid[1]
    context = len(config.context_offsets) + 1
    work = 2 * tokens * context * _window(config, (grid[0], grid[1])) * channels
    return PropagationSpeed(
        case=case,
        seconds=propagation + float(np.mean(masks[full])),
        propagation=propagation,
        memory_mb=memory,
        grid=(grid[0], grid[1]),
        gflops=work / propagation / 1e9,
        matrix_gflops=matrix_gflops(channels, "cpu"),
    )


def _window(config: PropagationConfig, grid: tuple[int, int]) -> float:
    """Return places in the window of a token, on average over the grid."""
    halves = half_widths(config.window, config.radius, grid)
    reach = len(halves) // 2
    total = 0.0
    for dy, half in zip(range(-reach, reach + 1), halves, strict=True):
        columns = [
            min(grid[1] - 1, x + int(half)) - max(0, x - int(half)) + 1 for x in range(grid[1])
        ]
        total += (grid[0] - abs(dy)) * float(np.sum(columns))
    return total / (grid[0] * grid[1])


def matrix_gflops(channels: int, device: str, seconds: float = 0.5) -> float:
    """Measure the best rate of ``(n, channels) @ (channels, n)`` into memory of its own."""
    side = 1024 if device == "cpu" else 8192
    x = torch.randn(side, channels, device=device)
    y = torch.randn(channels, side, device=device)
    out = torch.empty(side, side, device=device)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        torch.mm(x, y, out=out)
        if device != "cpu":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * side * side * channels / best / 1e9


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Case(**json.loads(sys.argv[1])), Path(sys.argv[2])))))
