"""Frames and a few masks in, the masks of all frames out: a stream, one direction at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vos.errors import UsageError, VosError
from vos.media.background import prefetch
from vos.media.flow import with_flow
from vos.media.masks import object_ids
from vos.progress import Stopwatch
from vos.propagation import PropagationConfig, Propagator, SoftLabels, frame_size
from vos.propagation.frame_size import resize_frame

if TYPE_CHECKING:
    from torch import Tensor

    from vos.backbones.inference import FeatureExtractor

IndexedFrame = tuple[int, np.ndarray]
Observer = Callable[[int, Mapping[int, float]], None]
FrameWithFlow = tuple[int, np.ndarray, np.ndarray | None]


class SegmentedFrame(NamedTuple):
    """The mask of one frame: (H, W) uint8 of the ids that the given masks use."""

    index: int  # type: ignore[assignment]  # shadows tuple.index, which nobody wants here
    ids: tuple[int, ...]
    mask: np.ndarray


def segment(
    frames: Iterable[IndexedFrame],
    annotations: Mapping[int, np.ndarray],
    extractor: FeatureExtractor,
    config: PropagationConfig,
    *,
    engine: str = "auto",
    stopwatch: Stopwatch | None = None,
    observe: Observer | None = None,
    complete: Mapping[int, Collection[int]] | None = None,
    features: MutableMapping[int, Tensor] | None = None,
    frames_at_once: int | None = None,
) -> Iterator[SegmentedFrame]:
    """Segment ``frames`` in the order they come; the first must be annotated.

    Memory does not grow with the number of frames.

    Args:
        frames: pairs of index and (H, W, 3) uint8 RGB, all of one size.
        annotations: (H, W) uint8 masks by frame index, at the size of the frames. One given for a
            later frame corrects it, or adds objects to it (see `Propagator.annotate`).
        extractor: makes the features.
        stopwatch: takes the seconds of the stages "features" and "propagation".
        observe: is called with the index of each frame and the confidence in each object, 0 to 1
            by id (see `Propagator.confidence`), before its mask is yielded.
        complete: object ids that the annotation of a frame speaks for, by frame index; those it
            does not show are absent. An annotation speaks for what it shows unless told here.
        features: of annotated frames by index; they are looked up here before they are computed,
            and left here, for those who walk from the same annotations again.
        frames_at_once: that the network sees together, and that are waited for before the first
            mask; as suits the device unless given.

    Raises:
        UsageError: the first frame has no annotation, or an annotation has another size.
        VosError: the frames differ in size.
    """
    stopwatch = stopwatch or Stopwatch()
    speakers = complete or {}
    propagator = Propagator(config, engine=engine)
    read = _read_ahead(frames, config)
    known = {} if features is None else features
    batches = _batches(read, frames_at_once or _frames_at_once(extractor))
    described = _described(batches, annotations, extractor, config, stopwatch, known)
    for index, frame, flow, feature in prefetch(described, ahead=1):
        with stopwatch("propagation"):
            size = (frame.shape[0], frame.shape[1])
            seen = frame_size(*size, config, extractor.stride)
            given, spoken = annotations.get(index), speakers.get(index)
            soft = _label(propagator, index, feature, flow, given, spoken, size)
            mask = soft.mask(size, seen, frame=frame)
            if given is not None:
                mask = as_annotated(mask, given, spoken)
        if observe is not None:
            observe(index, propagator.confidence())
        yield SegmentedFrame(index, soft.ids, mask)


def _described(
    batches: Iterable[list[FrameWithFlow]],
    annotations: Mapping[int, np.ndarray],
    extractor: FeatureExtractor,
    config: PropagationConfig,
    stopwatch: Stopwatch,
    known: MutableMapping[int, Tensor],
) -> Iterator[tuple[int, np.ndarray, np.ndarray | None, Tensor]]:
    """Yield each frame with its flow and its features; those of annotated frames stay ``known``.

    Raises:
        VosError: the frames differ in size.
    """
    size: tuple[int, int] | None = None
    for batch in batches:
        size = size or batch[0][1].shape[:2]
        for index, frame, _ in batch:
            if frame.shape[:2] != size:
                raise VosError(
                    f"frame {index} is {frame.shape[1]} x {frame.shape[0]} pixels, the frames "
                    f"before it {size[1]} x {size[0]}: all frames of a video must have one size"
                )
        new = [(index, frame) for index, frame, _ in batch if index not in known]
        with stopwatch("features"):
            seen = frame_size(*size, config, extractor.stride)
            shown = [resize_frame(frame, seen, config.resampling) for _, frame in new]
            found = extractor(shown) if new else ()
            maps = {index: one for (index, _), one in zip(new, found, strict=True)}
        known.update({i: maps[i].clone() for i in maps if i in annotations})
        for index, frame, flow in batch:
            yield index, frame, flow, maps[index] if index in maps else known[index]


def _label(
    propagator: Propagator,
    index: int,
    feature: Tensor,
    flow: np.ndarray | None,
    annotation: np.ndarray | None,
    objects: Collection[int] | None,
    size: tuple[int, int],
) -> SoftLabels:
    if annotation is None:
        return propagator.step(index, feature, flow)
    if annotation.shape != size:
        raise UsageError(
            f"the mask of frame {index} is {annotation.shape[1]} x {annotation.shape[0]} pixels, "
            f"the frame {size[1]} x {size[0]}"
        )
    spoken = object_ids(annotation) if objects is None else objects
    if not set(propagator.ids) <= set(spoken):  # what it does not speak for is found by a step
        propagator.step(index, feature, flow)
        flow = None
    return propagator.annotate(index, feature, annotation, objects=objects, flow=flow)


def as_annotated(
    mask: np.ndarray, annotation: np.ndarray, objects: Collection[int] | None = None
) -> np.ndarray:
    """Return the annotation to the pixel for the objects it speaks for, ``mask`` elsewhere.

    Args:
        mask: (H, W) uint8 ids, the prediction.
        annotation: (H, W) uint8 ids.
        objects: those it speaks for; those it shows unless given.
    """
    shown = np.setdiff1d(np.unique(annotation), (0, 255))
    spoken = shown if objects is None else np.union1d(shown, list(objects))
    result = np.where(np.isin(mask, spoken), 0, mask)
    painted = np.isin(annotation, shown)
    result[painted] = annotation[painted]
    return result.astype(np.uint8)


def _read_ahead(
    frames: Iterable[IndexedFrame], config: PropagationConfig
) -> Iterator[FrameWithFlow]:
    """Frames, and their flow where the protocol follows it, each from a thread of its own."""
    if config.motion == "flow":
        return prefetch(with_flow(prefetch(frames)))
    return ((index, frame, None) for index, frame in prefetch(frames))


def _frames_at_once(extractor: FeatureExtractor) -> int:
    """Return the batch size: 1 on a CPU, where larger batches only fill the caches, else more."""
    return 1 if extractor.device.type == "cpu" else 8


def _batches(items: Iterable[FrameWithFlow], size: int) -> Iterator[list[FrameWithFlow]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
