"""`vos.propagate`: a video and the masks of some frames in, the masks of all frames out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from vos.errors import UsageError
from vos.media import Video, object_ids, open_video
from vos.pipeline.segment import IndexedFrame, SegmentedFrame, segment
from vos.pipeline.stopwatch import Stopwatch
from vos.propagation import PropagationConfig, preset

if TYPE_CHECKING:
    from vos.backbones import Backbone
    from vos.backbones.inference import FeatureExtractor

Direction = Literal["both", "forward", "backward"]

DEFAULT_MODEL = "icon-resnet18"
FRAMES_TURNED_AT_ONCE = 16  # frames decoded forwards and handed out backwards


def propagate(
    video: str | Path | Video,
    masks: Mapping[int, np.ndarray],
    *,
    model: str | Backbone | FeatureExtractor = DEFAULT_MODEL,
    preset: str | PropagationConfig = "default",
    device: str = "auto",
    direction: Direction = "both",
    engine: str = "auto",
    stopwatch: Stopwatch | None = None,
) -> Iterator[SegmentedFrame]:
    """Carry the objects of ``masks`` through a video.

    From the first annotated frame on, frames come in order; then those before it, backwards.
    Memory does not grow with the length of the video.

    >>> for index, ids, mask in vos.propagate("clip.mp4", {0: first_mask}):
    ...     ...

    Args:
        video: a file, a folder of frames, or an opened `Video`.
        masks: (H, W) uint8 ids by frame index, at the size of the video; 0 is background, 255
            void. A later mask corrects what it shows from there on, or adds objects.
        model: what `vos.load` takes, a backbone, or an extractor.
        preset: name of a protocol, or a configuration.
        direction: ``forward`` leaves out the frames before the first annotated one, ``backward``
            those after it.

    Raises:
        UsageError: no mask, an empty one, or one of another size than the frames.
        VosError: the video cannot be read; frames already yielded are good.
    """
    opened = video if isinstance(video, Video) else open_video(Path(video))
    first = _check(opened, masks)
    config = _config(preset)
    extractor = make_extractor(model, device, frame_count=opened.frame_count)
    if direction in ("both", "forward"):
        frames = enumerate(opened.read(first), start=first)
        last = first - 1
        for frame in segment(frames, masks, extractor, config, engine=engine, stopwatch=stopwatch):
            last = frame.index
            yield frame
        if max(masks) > last:
            raise UsageError(f"{opened.path} has no frame {max(masks)}: its last is {last}")
    if direction in ("both", "backward") and first > 0:
        earlier = segment(
            read_backwards(opened, first + 1),
            {first: masks[first]},
            extractor,
            config,
            engine=engine,
            stopwatch=stopwatch,
        )
        for frame in earlier:
            if frame.index != first or direction == "backward":
                yield frame


def make_extractor(
    model: str | Backbone | FeatureExtractor,
    device: str = "auto",
    *,
    seed: int = 0,
    frame_count: int | None = None,
) -> FeatureExtractor:
    """A feature extractor from what `vos.load` takes, a backbone, or one made already.

    ``frame_count`` says how many frames will come: a warm-up pays for many only.
    """
    from vos.backbones import load
    from vos.backbones.inference import FeatureExtractor
    from vos.machine import resolve_device

    if isinstance(model, FeatureExtractor):
        return model
    target = resolve_device(device)
    backbone = load(model, seed=seed) if isinstance(model, str) else model
    return FeatureExtractor(backbone, target, frame_count=frame_count)


def _config(choice: str | PropagationConfig) -> PropagationConfig:
    return preset(choice) if isinstance(choice, str) else choice


def _check(video: Video, masks: Mapping[int, np.ndarray]) -> int:
    if not masks:
        raise UsageError("no mask given: annotate at least one frame")
    first = min(masks)
    if first < 0:
        raise UsageError(f"frames are counted from 0, there is no frame {first}")
    for index, mask in masks.items():
        if mask.shape != (video.height, video.width):
            raise UsageError(
                f"the mask of frame {index} is {mask.shape[1]} x {mask.shape[0]} pixels, "
                f"the video {video.path} {video.width} x {video.height}"
            )
    if not object_ids(masks[first]):
        raise UsageError(f"the mask of frame {first} shows no object: it is all background")
    return first


def read_backwards(video: Video, stop: int, start: int = 0) -> Iterator[IndexedFrame]:
    """Frames ``stop - 1`` down to ``start`` with their indices, decoded a few at a time."""
    while stop > start:
        first = max(start, stop - FRAMES_TURNED_AT_ONCE)
        chunk = list(enumerate(video.read(first, stop), start=first))
        yield from reversed(chunk)
        stop = first
