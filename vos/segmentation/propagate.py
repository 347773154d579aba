"""`vos.propagate`: a video and the masks of some frames in, the masks of all frames out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from vos.errors import UsageError, near_names
from vos.media import Video, object_ids, open_video
from vos.progress import Stopwatch
from vos.propagation import PropagationConfig, preset
from vos.propagation.engines.choose import engine_for
from vos.propagation.frame_size import suited
from vos.segmentation.marks import Mask, check_marks
from vos.segmentation.passes import END, Ids, Pass, plan_passes, walk
from vos.segmentation.segment import Observer, SegmentedFrame, segment
from vos.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    import torch

    from vos.backbones.adapt import Network
    from vos.backbones.inference import FeatureExtractor

Direction = Literal["both", "forward", "backward", "online"]


def propagate(
    video: Any,
    masks: Mapping[int, Mask],
    *,
    model: str | Path | Network | FeatureExtractor = DEFAULT_MODEL,
    preset: str | PropagationConfig = "default",
    device: str | torch.device = "auto",
    precision: str = "auto",
    direction: Direction = "both",
    engine: str = "auto",
    stopwatch: Stopwatch | None = None,
    observe: Observer | None = None,
) -> Iterator[SegmentedFrame]:
    """Carry the objects of ``masks`` through a video.

    From the first annotated frame on, then before it, backwards; each frame comes once. Between
    two annotated frames both count, and those after the middle come backwards from the second one:
    go by the index. Memory grows neither with the length of the video nor with the number of
    masks. What is wrong with the arguments is raised by the call, before the first frame is asked
    for; masks are copied by it.

    >>> for index, ids, mask in vos.propagate("clip.mp4", {0: first_mask}):
    ...     ...

    Args:
        video: what `vos.open_video` takes: a file, a folder of frames, an opened `Video`, an array
            (T, H, W, 3), a list of frames, or a generator of them, which is read once, forwards.
        masks: masks by frame index, at the size of the video: (H, W) arrays of ids, where 0 is
            background and 255 void; arrays that are boolean or hold 0 and 255 alone are one
            object; tensors, Pillow images, or paths of mask files. A mask speaks for the objects
            it shows: it corrects them, or adds them from its frame on.
        model: what `vos.load` takes, any network (see `vos.as_backbone`), or an extractor.
        preset: name of a protocol, or a configuration.
        precision: of the network, see `FeatureExtractor`; an extractor has its own.
        direction: ``forward`` leaves out the frames before the first annotated one, ``backward``
            those after it. ``online`` goes forward and uses masks from their frames on only, as
            benchmarks, cameras and generators ask for.
        observe: is called with the index of each frame and the confidence in each object, 0 to 1
            by id: 1 on annotated frames, near 0 where an object is probably lost.

    Raises:
        UsageError: no mask, an empty one, one of other proportions than the frames, or one for a
            frame that is not there; anything else that is no mask or no video; an unknown model,
            preset, precision, device or direction; a generator where frames are needed twice.
        VosError: the video cannot be read; frames already yielded are good.
    """
    opened = open_video(video)
    marks = check_marks(masks, opened)
    if direction not in get_args(Direction):
        raise UsageError(
            f"no direction {direction!r}: {near_names(direction, get_args(Direction))}"
        )
    if not opened.rereadable:
        _check_read_once(opened, marks, direction)
    extractor = make_extractor(model, device, precision=precision, frame_count=opened.frame_count)
    config = suited(as_config(preset), (marks[index] for index in sorted(marks)), extractor.stride)
    engine_for(extractor.device, engine)  # an unknown one is found out now
    carry = partial(
        segment,
        extractor=extractor,
        config=config,
        engine=engine,
        stopwatch=stopwatch,
        observe=observe,
    )
    if not opened.rereadable:  # a camera: each mask is wanted before the next frame
        carry = partial(carry, frames_at_once=1)
    if direction == "online" or not opened.rereadable:
        frames = carry(enumerate(opened.read(min(marks)), start=min(marks)), marks)
        return frames if opened.rereadable else _with_all_masks(frames, opened, max(marks))
    shown = {index: frozenset(object_ids(mask)) for index, mask in marks.items()}
    return walk(opened, marks.__getitem__, passes_in(direction, shown), carry)


def passes_in(
    direction: Direction,
    shown: Mapping[int, Ids],
    *,
    erased: Mapping[int, Ids] | None = None,
    first: int = 0,
    last: int = END,
) -> list[Pass]:
    """Return the passes of a direction (not ``online``, which is one) over ``first`` to ``last``.

    Args:
        shown, erased: as for `plan_passes`.
    """
    if direction == "backward":
        begin = min((i for i, ids in shown.items() if first <= i <= last and ids), default=-1)
        return plan_passes(shown, first, begin, erased=erased, backwards=True, lead_in=False)
    return plan_passes(shown, first, last, erased=erased, lead_in=direction == "both")


def _check_read_once(video: Video, marks: Mapping[int, Any], direction: Direction) -> None:
    """Refuse what needs frames again, or backwards, of a video that passes by once."""
    if direction == "online":
        return
    list_of = "or collect the frames in a list"
    if direction == "backward" or (direction == "both" and min(marks) > 0):
        raise UsageError(
            f"the video {video.name} is read once, forwards: the frames before {min(marks)} cannot "
            f"be segmented; give direction='forward', {list_of}"
        )
    if len(marks) > 1:
        raise UsageError(
            f"the video {video.name} is read once, forwards: frames between two masks cannot use "
            f"the later one; give direction='online', {list_of}"
        )


def _with_all_masks(
    frames: Iterator[SegmentedFrame], video: Video, last: int
) -> Iterator[SegmentedFrame]:
    """Yield the frames of a video whose end is known when it comes, and see that ``last`` came."""
    index = -1
    for frame in frames:
        index = frame.index
        yield frame
    if index < last:
        raise UsageError(
            f"the video {video.name} ended before frame {last}, for which a mask was given"
        )


def make_extractor(
    model: str | Path | Network | FeatureExtractor,
    device: str | torch.device = "auto",
    *,
    precision: str = "auto",
    seed: int = 0,
    frame_count: int | None = None,
) -> FeatureExtractor:
    """Return a feature extractor from what `vos.load` takes, any network, or one made already.

    ``frame_count`` says how many frames will come: a warm-up pays for many only.

    Raises:
        UsageError: an unknown model, device or precision, or something that is no model.
    """
    from vos.backbones import load
    from vos.backbones.adapt import as_backbone
    from vos.backbones.inference import FeatureExtractor
    from vos.machine import resolve_device

    if isinstance(model, FeatureExtractor):
        return model
    target = resolve_device(str(device))
    backbone = load(model, seed=seed) if isinstance(model, str | Path) else as_backbone(model)
    return FeatureExtractor(backbone, target, precision=str(precision), frame_count=frame_count)


def as_config(choice: str | PropagationConfig) -> PropagationConfig:
    """Return the configuration that a preset's name stands for, or the one given.

    Raises:
        UsageError: there is no such preset, or it is neither.
    """
    if isinstance(choice, PropagationConfig):
        return choice
    if not isinstance(choice, str):
        raise UsageError(
            f"preset is a name or a PropagationConfig, not of type {type(choice).__name__}"
        )
    return preset(choice)
