"""Where the time of a frame goes: each stage alone, and all of them as they overlap.

Stages run one after another on the frames of one sequence, and the best of some repeats counts,
but for propagation and masks, whose frames build on one another: they count the mean once the
context is full.
The first frames, which compile and load, are left out.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from vos.backbones import Backbone
from vos.backbones.catalogue import multiply_adds
from vos.backbones.inference import FeatureExtractor
from vos.benchmarks.propagation import matrix_gflops
from vos.datasets import Sequence
from vos.errors import UsageError
from vos.machine import peak_memory_mb
from vos.media import write_mask
from vos.media.background import BackgroundWriter
from vos.media.flow import with_flow
from vos.propagation import PropagationConfig, Propagator, frame_size
from vos.propagation.frame_size import resize_frame, suited
from vos.segmentation.segment import segment

FEWEST = 8  # frames a measurement takes
REPEATS = 3
Item = TypeVar("Item")
WARM = 2  # frames that load and compile


@dataclass(frozen=True)
class Stage:
    """Milliseconds of a frame in one stage, run alone.

    Attributes:
        floor: milliseconds that its arithmetic takes at this machine's rate of float32 matrix
            products; None where nothing is counted.
    """

    name: str
    milliseconds: float
    floor: float | None = None


@dataclass(frozen=True)
class PipelineSpeed:
    """The stages of a sequence, and frames per second from files to files.

    Attributes:
        size: height and width of the frames, in pixels.
        precision: of the features, as chosen.
        memory_mb: peak of the process, MiB.
    """

    sequence: str
    frames: int
    size: tuple[int, int]
    precision: str
    stages: tuple[Stage, ...]
    frames_per_second: float
    memory_mb: float

    @property
    def alone(self) -> float:
        """Milliseconds of a frame if no stage overlapped another."""
        return sum(stage.milliseconds for stage in self.stages)


def bench_pipeline(
    sequence: Sequence, backbone: Backbone, config: PropagationConfig, *, precision: str = "auto"
) -> PipelineSpeed:
    """Measure ``sequence`` on the processor, as `vos eval` goes through it.

    Args:
        precision: of the features, see `FeatureExtractor`.

    Raises:
        UsageError: a sequence of fewer than 8 frames, or an unknown precision.
    """
    count = len(sequence)
    extractor = FeatureExtractor(backbone, "cpu", precision=precision)
    if count < FEWEST:
        raise UsageError(f"{sequence.name} has {count} frames: measuring takes {FEWEST}")
    frames = [sequence.frame(index) for index in range(count)]
    size = (frames[0].shape[0], frames[0].shape[1])
    config = suited(config, [sequence.mask(0)], extractor.stride)
    seen = frame_size(*size, config, extractor.stride)
    shown = [resize_frame(frame, seen, config.resampling) for frame in frames[: 2 * FEWEST]]
    follows = config.motion == "flow"
    flows: list[np.ndarray | None] = [None] * count
    if follows:
        flows = [flow for _, _, flow in with_flow(enumerate(frames))]
    rate = matrix_gflops(extractor.channels, "cpu")
    operations = 2 * multiply_adds(backbone, seen) / 1e9
    reading = _each(sequence.frame, range(min(count, 2 * FEWEST)))
    features = _each(lambda frame: extractor([frame]), shown)
    propagation, borders, masks = _propagate(
        frames, flows, sequence.mask(0), extractor, config, seen
    )
    stages = [
        Stage("reading", reading),
        *([Stage("flow", _flow(frames[: 2 * FEWEST]))] if follows else []),
        Stage("features", features, 1e3 * operations / rate),
        Stage("propagation", propagation),
        Stage("masks", borders),
        Stage("writing", _writing(masks)),
    ]
    return PipelineSpeed(
        sequence=sequence.name,
        frames=count,
        size=size,
        precision=extractor.precision,
        stages=tuple(stages),
        frames_per_second=count / _whole(sequence, extractor, config),
        memory_mb=peak_memory_mb(),
    )


def _each(work: Callable[[Item], object], items: Items[Item]) -> float:
    """Return the milliseconds of an item: the best pass over those behind the first."""
    for item in items[:WARM]:
        work(item)
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        for item in items[WARM:]:
            work(item)
        best = min(best, time.perf_counter() - start)
    return 1e3 * best / len(items[WARM:])


def _flow(frames: list[np.ndarray]) -> float:
    def all_of_them(_: int) -> None:
        for _found in with_flow(enumerate(frames)):
            pass

    return _each(all_of_them, range(WARM + 1)) / (len(frames) - 1)


def _propagate(
    frames: list[np.ndarray],
    flows: list[np.ndarray | None],
    first: np.ndarray,
    extractor: FeatureExtractor,
    config: PropagationConfig,
    seen: tuple[int, int],
) -> tuple[float, float, list[np.ndarray]]:
    """Return milliseconds of a frame for labels and for masks, and the masks."""
    propagator = Propagator(config)
    size = (frames[0].shape[0], frames[0].shape[1])
    labels, borders, masks = [], [], []
    for index, (frame, flow) in enumerate(zip(frames, flows, strict=True)):
        feature = extractor([resize_frame(frame, seen, config.resampling)])[0]
        start = time.perf_counter()
        if index == 0:
            soft = propagator.annotate(index, feature, first)
        else:
            soft = propagator.step(index, feature, flow)
        between = time.perf_counter()
        masks.append(soft.mask(size, seen, frame=frame))
        labels.append(between - start)
        borders.append(time.perf_counter() - between)
    full = slice(min(max(config.context_offsets, default=0) + 1, len(frames) // 2), None)
    return 1e3 * float(np.mean(labels[full])), 1e3 * float(np.mean(borders[full])), masks


def _writing(masks: list[np.ndarray]) -> float:
    with tempfile.TemporaryDirectory(prefix="vos-bench-") as folder:
        return _each(lambda mask: write_mask(Path(folder) / "0.png", mask), masks[: 2 * FEWEST])


def _whole(sequence: Sequence, extractor: FeatureExtractor, config: PropagationConfig) -> float:
    """Return the seconds from the first file to the last, everything overlapped."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="vos-bench-") as folder, BackgroundWriter() as writer:
        read = ((index, sequence.frame(index)) for index in range(len(sequence)))
        for found in segment(read, {0: sequence.mask(0)}, extractor, config):
            writer.submit(write_mask, Path(folder) / f"{found.index:05d}.png", found.mask)
        writer.wait()
        return time.perf_counter() - start
