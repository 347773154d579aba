"""Points and boxes as people type them, and the masks that they make.

``310,200`` is a point on object 1 of the first frame, ``310,200,-`` one beside it; ``12:3=310,200``
is on object 3 of frame 12. A box is ``left,top,right,bottom``, with the same frame and object.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from vos.errors import UsageError
from vos.media import Video
from vos.propagation.propagator import MAX_OBJECTS
from vos.segmentation.given_masks import frame_numbers, named_frame
from vos.segmentation.interactive import InteractiveFrame, check_prompts
from vos.segmentation.marks import check_frames

if TYPE_CHECKING:
    from vos.backbones.inference import FeatureExtractor

_SHAPES = {
    "point": (r"(\d+),(\d+)(,-)?", "310,200 or, beside the object, 310,200,-"),
    "box": (r"(\d+),(\d+),(\d+),(\d+)", "left,top,right,bottom such as 120,40,380,300"),
}


class Prompt(NamedTuple):
    """A point or a box on an object of a frame.

    Attributes:
        text: as it was typed.
        values: ``(x, y, adds)`` of a point, ``(left, top, right, bottom)`` of a box.
        frame: its name or number.
    """

    kind: Literal["point", "box"]
    text: str
    values: tuple[Any, ...]
    object_id: int = 1
    frame: str = "0"


def parse_prompts(points: Sequence[str], boxes: Sequence[str]) -> list[Prompt]:
    """Return what was typed as points and boxes, in this order.

    Raises:
        UsageError: something that is none.
    """
    return [*(_parse("point", text) for text in points), *(_parse("box", text) for text in boxes)]


def _parse(kind: Literal["point", "box"], text: str) -> Prompt:
    pattern, example = _SHAPES[kind]
    found = re.fullmatch(rf"(?:(.+):)?(?:(\d+)=)?{pattern}", text.replace(" ", ""))
    if found is None:
        raise UsageError(
            f"`{kind}` {text!r} is no {kind}: give {example}; 12: before it names the frame, "
            "3= the object"
        )
    frame, object_id, *values = found.groups()
    if not 1 <= int(object_id or 1) <= MAX_OBJECTS:
        raise UsageError(f"`{kind}` {text!r}: objects are numbered from 1 to {MAX_OBJECTS}")
    numbers = [int(value) for value in values if value and value != ",-"]
    told = (*numbers, values[-1] is None) if kind == "point" else tuple(numbers)
    return Prompt(kind, text, told, int(object_id or 1), frame or "0")


def prompted_frames(prompts: Sequence[Prompt], video: Video) -> dict[int, list[Prompt]]:
    """Return prompts by the frame that they are on.

    Raises:
        UsageError: a frame that is not there.
    """
    names = frame_numbers(video)
    frames: dict[int, list[Prompt]] = {}
    for prompt in prompts:
        index = named_frame(f"`{prompt.kind}` {prompt.text}", prompt.frame, names)
        frames.setdefault(index, []).append(prompt)
    if frames:
        check_frames(frames, video)
    return frames


def prompted_masks(
    video: Video,
    prompts: Sequence[Prompt],
    extractor: FeatureExtractor,
    given: Mapping[int, np.ndarray] | None = None,
) -> dict[int, np.ndarray]:
    """Return the masks that points and boxes make, (H, W) uint8 ids by frame index.

    Args:
        given: masks of frames, which points correct. Objects that are pointed at lie in front.

    Raises:
        UsageError: a frame that is not there, or a point or box that lies outside of it or finds
            nothing.
    """
    masks = {}
    for index, here in prompted_frames(prompts, video).items():
        image = video[index]
        frame = InteractiveFrame(image, extractor)
        mask = np.zeros(video.size, np.uint8)
        if given is not None and index in given:
            mask[:] = given[index]
        for object_id in dict.fromkeys(prompt.object_id for prompt in here):
            own = [prompt for prompt in here if prompt.object_id == object_id]
            region = _region(frame, mask == object_id, own)
            mask[mask == object_id] = 0
            mask[region] = object_id
        masks[index] = mask
    return masks


def _region(frame: InteractiveFrame, before: np.ndarray, prompts: Sequence[Prompt]) -> np.ndarray:
    """Return what the prompts of one object find, (H, W) bool."""
    said = " ".join(f"`{prompt.kind}` {prompt.text}" for prompt in prompts)
    boxes = [prompt.values for prompt in prompts if prompt.kind == "box"]
    if len(boxes) > 1:
        raise UsageError(f"{said}: an object has one box on a frame")
    points = [prompt.values for prompt in prompts if prompt.kind == "point"]
    box = boxes[0] if boxes else None
    start = before if box is None and before.any() else None
    try:
        region = frame.mask(*check_prompts(frame.image, points, box, start), start)
    except UsageError as error:
        raise UsageError(f"{said}: {error}") from error
    if not region.any():
        raise UsageError(f"{said}: nothing is left of object {prompts[0].object_id}")
    return region
