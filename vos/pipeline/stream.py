"""`vos.propagate`: a video and the masks of some frames in, the masks of all frames out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from vos.defaults import DEFAULT_MODEL
from vos.errors import UsageError, near_names
from vos.media import Video, object_ids, open_video
from vos.pipeline.segment import IndexedFrame, SegmentedFrame, segment
from vos.pipeline.stopwatch import Stopwatch
from vos.propagation import PropagationConfig, preset

if TYPE_CHECKING:
    from vos.backbones import Backbone
    from vos.backbones.inference import FeatureExtractor

Direction = Literal["both", "forward", "backward"]

FRAMES_TURNED_AT_ONCE = 16  # frames decoded forwards and handed out backwards


def propagate(
    video: str | Path | Video,
    masks: Mapping[int, np.ndarray],
    *,
    model: str | Backbone | FeatureExtractor = DEFAULT_MODEL,
    preset: str | PropagationConfig = "default",
    device: str = "auto",
    precision: str = "float32",
    direction: Direction = "both",
    engine: str = "auto",
    stopwatch: Stopwatch | None = None,
) -> Iterator[SegmentedFrame]:
    """Carry the objects of ``masks`` through a video.

    From the first annotated frame on, frames come in order; then those before it, backwards.
    Memory does not grow with the length of the video. What is wrong with the arguments is raised
    by the call, before the first frame is asked for.

    >>> for index, ids, mask in vos.propagate("clip.mp4", {0: first_mask}):
    ...     ...

    Args:
        video: a file, a folder of frames, or an opened `Video`.
        masks: (H, W) uint8 ids by frame index, at the size of the video; 0 is background, 255
            void. A later mask corrects what it shows from there on, or adds objects.
        model: what `vos.load` takes, a backbone, or an extractor.
        preset: name of a protocol, or a configuration.
        precision: of the network: ``float32``, ``bfloat16`` or ``float16``; an extractor has its
            own.
        direction: ``forward`` leaves out the frames before the first annotated one, ``backward``
            those after it.

    Raises:
        UsageError: no mask, an empty one, one of another size than the frames, or one for a
            frame that is not there; an unknown model, preset, precision or direction.
        VosError: the video cannot be read; frames already yielded are good.
    """
    opened = video if isinstance(video, Video) else open_video(Path(video))
    check_masks(opened, masks)
    directions = get_args(Direction)
    if direction not in directions:
        raise UsageError(f"no direction {direction!r}: {near_names(direction, directions)}")
    config = _config(preset)
    extractor = make_extractor(model, device, precision=precision, frame_count=opened.frame_count)
    carry = partial(segment, extractor=extractor, config=config, engine=engine, stopwatch=stopwatch)
    return _stream(opened, masks, direction, carry)


def _stream(
    video: Video,
    masks: Mapping[int, np.ndarray],
    direction: Direction,
    carry: Callable[..., Iterator[SegmentedFrame]],
) -> Iterator[SegmentedFrame]:
    first = min(masks)
    if direction in ("both", "forward"):
        yield from carry(enumerate(video.read(first), start=first), masks)
    if direction == "backward" or (direction == "both" and first > 0):
        for frame in carry(read_backwards(video, first + 1), {first: masks[first]}):
            if frame.index != first or direction == "backward":
                yield frame


def make_extractor(
    model: str | Backbone | FeatureExtractor,
    device: str = "auto",
    *,
    precision: str = "float32",
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
    return FeatureExtractor(backbone, target, precision=precision, frame_count=frame_count)


def _config(choice: str | PropagationConfig) -> PropagationConfig:
    return preset(choice) if isinstance(choice, str) else choice


def check_masks(video: Video, masks: Mapping[int, np.ndarray]) -> None:
    """See that ``masks``, by frame index, can be propagated through ``video``.

    Raises:
        UsageError: no mask, one without objects, of another size, or for a frame that is not there.
    """
    if not masks:
        raise UsageError("no mask given: annotate at least one frame")
    for index, mask in sorted(masks.items()):
        if index < 0:
            raise UsageError(f"frames are counted from 0, there is no frame {index}")
        if mask.shape != video.size:
            raise UsageError(
                f"the mask of frame {index} is {mask.shape[1]} x {mask.shape[0]} pixels, "
                f"the video {video.path} {video.width} x {video.height}"
            )
        if not object_ids(mask):
            raise UsageError(
                f"the mask of frame {index} is all background: paint at least one object"
            )
    # Counting reads through a file, so only where it matters.
    if max(masks) > 0 and max(masks) >= (count := video.count_frames()):
        raise UsageError(
            f"{video.path} has no frame {max(masks)}: its {count} frames are counted from 0"
        )


def read_backwards(video: Video, stop: int, start: int = 0) -> Iterator[IndexedFrame]:
    """Frames ``stop - 1`` down to ``start`` with their indices, decoded a few at a time."""
    while stop > start:
        first = max(start, stop - FRAMES_TURNED_AT_ONCE)
        chunk = list(enumerate(video.read(first, stop), start=first))
        yield from reversed(chunk)
        stop = first
