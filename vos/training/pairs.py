"""Which two crops make a training pair: decided by seed and number of the pair alone.

Pair number ``n`` is the same whoever asks for it and whenever, so that a run can be resumed,
or spread over processes, without keeping a position for each of them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vos.datasets.clips import Clip
from vos.errors import UsageError
from vos.training.config import CropConfig, DataConfig
from vos.training.crops import FramePool


@dataclass(frozen=True)
class Box:
    """A square part of a frame, in whole pixels."""

    top: int
    left: int
    side: int


@dataclass(frozen=True)
class Pair:
    """Two frames of one clip (or one photo twice), the part of each, and whether to mirror."""

    clip: int
    frames: tuple[int, int]
    boxes: tuple[Box, Box]
    mirrored: bool


class PairSampler:
    """Chooses pairs of crops among clips.

    Clips are drawn by their weights (``data.weights``: name pattern -> weight), photos as
    often as ``data.photo_share`` says.
    """

    def __init__(
        self, clips: Sequence[Clip], data: DataConfig, crop: CropConfig, *, seed: int
    ) -> None:
        self.shapes = [clip.frames.shape[:3] for clip in clips]  # (T, H, W) each
        self.crop = crop
        self.gap = data.gap
        self.seed = seed
        self.probabilities = _probabilities(clips, data)
        self.cumulative = self.probabilities.cumsum()
        self.cumulative /= self.cumulative[-1]
        self.first_frames = np.cumsum([0, *(shape[0] for shape in self.shapes)])

    @property
    def frame_count(self) -> int:
        """Number of frames of all clips."""
        return int(self.first_frames[-1])

    def frame_number(self, number: int) -> int:
        """Place of the first frame of this pair among all frames of all clips."""
        pair = self.pair(number)
        return int(self.first_frames[pair.clip]) + pair.frames[0]

    def pair(self, number: int) -> Pair:
        """Return the pair of this number."""
        random = np.random.default_rng([self.seed, number])
        # What random.choice(p=...) does, without its sum over all clips for every pair.
        clip = int(self.cumulative.searchsorted(random.random(), side="right"))
        length, height, width = self.shapes[clip]
        first, second = self._frames(length, random)
        jitter = self.crop.jitter if first != second else self.crop.photo_jitter
        side = self._share(random) * min(height, width)
        center = (_place(height, side, random), _place(width, side, random))
        boxes = [self._box((height, width), center, side, jitter, random) for _ in range(2)]
        mirrored = bool(random.random() < self.crop.flip)
        return Pair(clip, (first, second), (boxes[0], boxes[1]), mirrored)

    def _share(self, random: np.random.Generator) -> float:
        """Return the side of a crop as a share of the shorter side of the frame."""
        least, most = self.crop.share_min, self.crop.share_max
        if self.crop.uniform == "area":
            return float(np.sqrt(random.uniform(least**2, most**2)))
        return float(np.exp(random.uniform(np.log(least), np.log(most))))

    def _frames(self, length: int, random: np.random.Generator) -> tuple[int, int]:
        """Return two frames 1 to ``gap`` apart, in either order; twice the same in a photo."""
        if length == 1:
            return 0, 0
        distance = int(random.integers(1, min(self.gap, length - 1) + 1))
        early = int(random.integers(0, length - distance))
        pair = (early, early + distance)
        return pair if random.random() < 0.5 else pair[::-1]

    def _box(
        self,
        size: tuple[int, int],
        center: tuple[float, float],
        side: float,
        jitter: float,
        random: np.random.Generator,
    ) -> Box:
        scale, down, right = random.uniform(-jitter / 2, jitter / 2, 3)
        whole = max(8, min(round(side * np.exp(scale)), *size))
        top = round(center[0] + down * side - whole / 2)
        left = round(center[1] + right * side - whole / 2)
        return Box(
            int(np.clip(top, 0, size[0] - whole)), int(np.clip(left, 0, size[1] - whole)), whole
        )


def _place(length: int, side: float, random: np.random.Generator) -> float:
    """Return a centre such that a part of ``side`` lies inside ``length``."""
    return side / 2 + random.random() * (length - side)


def _probabilities(clips: Sequence[Clip], data: DataConfig) -> np.ndarray:
    weights = np.ones(len(clips))
    for index, clip in enumerate(clips):
        for pattern, weight in data.weights.items():
            if fnmatch(clip.name, pattern):
                weights[index] *= weight
    is_photo = np.array([len(clip) == 1 for clip in clips])
    share = data.photo_share
    if share is not None and is_photo.any() and not is_photo.all():
        for part, wanted in ((is_photo, share), (~is_photo, 1 - share)):
            weights[part] *= wanted / max(weights[part].sum(), 1e-12)
    if not weights.sum() > 0:
        raise UsageError("data.weights and data.photo_share leave no clip to train on")
    return weights / weights.sum()


class PairLoader:
    """Cuts and resizes the crops of each step in threads, a few steps ahead.

    Iterating gives ``(frames, B, 3, size, size)`` uint8 tensors, first and second frame of B pairs
    (``frames`` 1: the first alone). With ``device`` given the clips are moved there once, and a
    batch is cut and resized there at once.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        sampler: PairSampler,
        *,
        workers: int,
        device: torch.device | None = None,
        frames: int = 2,
    ) -> None:
        self.crops_a_pair = frames
        self.frames = [clip.frames for clip in clips]
        self.pool = FramePool(clips, device) if device is not None else None
        self.sampler = sampler
        self.workers = max(1, workers)

    def batches(self, steps: range, numbers: range, batch: int) -> Generator[Tensor]:
        """Crops of each of ``steps``: pairs ``numbers`` of the ``batch`` pairs of the step."""
        ahead = self.workers + 2
        with ThreadPoolExecutor(self.workers) as threads:
            waiting: list[Future[Tensor]] = []

            def ask(step: int) -> None:
                wanted = [step * batch + number for number in numbers]
                waiting.append(threads.submit(self.load, wanted))

            try:
                for step in steps[:ahead]:
                    ask(step)
                for step in steps:
                    ready = waiting.pop(0).result()
                    if step + ahead < steps.stop:
                        ask(step + ahead)
                    yield ready
            finally:
                threads.shutdown(cancel_futures=True)

    def load(self, numbers: Sequence[int]) -> Tensor:
        """Crops of the pairs of these numbers, (frames, B, 3, size, size) uint8."""
        pairs = [self.sampler.pair(number) for number in numbers]
        if self.pool is not None:
            return self._from_pool(self.pool, pairs)
        return torch.stack(
            [torch.stack([self._crop(p, i) for p in pairs]) for i in range(self.crops_a_pair)]
        )

    def _from_pool(self, pool: FramePool, pairs: Sequence[Pair]) -> Tensor:
        wanted = [(pair, which) for which in range(self.crops_a_pair) for pair in pairs]
        boxes = [pair.boxes[which] for pair, which in wanted]
        crops = pool.crops(
            [pair.clip for pair, _ in wanted],
            [pair.frames[which] for pair, which in wanted],
            [(box.top, box.left, box.side) for box in boxes],
            [pair.mirrored for pair, _ in wanted],
            self.sampler.crop.size,
        )
        return crops.view(self.crops_a_pair, len(pairs), *crops.shape[1:])

    def _crop(self, pair: Pair, which: int) -> Tensor:
        box, size = pair.boxes[which], self.sampler.crop.size
        frame = self.frames[pair.clip][pair.frames[which]]
        part = np.array(frame[box.top : box.top + box.side, box.left : box.left + box.side])
        if pair.mirrored:
            part = part[:, ::-1]
        image = torch.from_numpy(np.ascontiguousarray(part)).permute(2, 0, 1)[None].float()
        image = functional.interpolate(
            image, (size, size), mode="bilinear", align_corners=False, antialias=True
        )
        return image[0].round().to(torch.uint8)
