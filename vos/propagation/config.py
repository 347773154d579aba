"""Every choice in which published label-propagation protocols differ, as one value."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from vos.errors import UsageError, near_names
from vos.settings import change_settings

Rounding = Literal["none", "floor-long", "up"]
Resampling = Literal["bilinear", "bicubic", "area"]
Early = Literal["repeat", "count", "skip"]
Spacing = Literal["every", "growing"]
WindowShape = Literal["open-circle", "circle", "square", "everywhere"]
MaskToGrid = Literal["bilinear", "bilinear-corners", "nearest"]
Motion = Literal["none", "flow"]
GridToMask = Literal["bilinear", "bilinear-corners", "nearest", "bilinear-then-nearest", "guided"]


@dataclass(frozen=True)
class PropagationConfig:
    """How labels are carried from the context to the next frame.

    Attributes:
        short_side: frames are resized so that their short side has this many pixels; ``None``
            keeps their size.
        enlarge: the factor by which frames with a shorter side are enlarged to it at most; 1 never
            enlarges, ``None`` always does.
        small_object: where an annotated object covers fewer tokens than this, the grid is half as
            fine again: ``short_side``, ``enlarge``, ``radius`` and ``motion_sigma`` grow by half.
            0 takes all objects alike.
        rounding: ``none`` keeps the ratio; ``floor-long`` floors the long side to a multiple of
            ``multiple``; ``up`` rounds both sides up to a multiple of it.
        multiple: see ``rounding``; 0 stands for the stride of the backbone.
        resampling: how frames are resized; ``area`` averages when shrinking.
        recent: how many frames the context reaches back, beside the annotated ones.
        spacing: which of these frames are context: ``every`` one, or ones with ``growing`` gaps,
            each a third farther back than the one before (1, 2, 3, 4, 6, 8, 11, 15, 20, ...
            frames): neighbours tell almost the same, at the same cost each.
        early: what the last frames are while fewer than ``recent`` are known: ``repeat`` fills up
            with copies of the newest annotated frame, ``count`` takes what there is, annotated
            frames included, ``skip`` takes propagated frames only.
        window: the places of a context frame that a token may take labels from: distance < radius
            (``open-circle``), distance <= radius (``circle``), both offsets <= radius
            (``square``), or all (``everywhere``).
        radius: of the window, in tokens.
        annotated_in_window: whether annotated frames are restricted to the window too.
        annotated_count: how often each annotated frame counts, where any other counts once: what
            is known of it is true.
        motion_sigma: standard deviation, in tokens, of a Gaussian prior on how far an object moves
            between a frame and its context: inside the window, similarity / temperature loses
            distance**2 / (2 motion_sigma**2). ``None`` takes all places of the window alike.
        motion: what is known of the way from a frame to its context. ``none`` lays the window
            around a token's own place; ``flow`` lays a second one, of the same shape, around the
            place that optical flow leads to, and measures distances from the nearer of the two.
        classifier: how much a linear classifier of the objects, fitted to the annotated frames,
            counts beside the features: similarities become (features + classifier * scores) /
            (1 + classifier), each a cosine. 0 does without it.
        classifier_recent: the share of the classifier's examples that are frames labelled since
            the last annotation, every fourth of them, each counting half of the next; the rest are
            the annotated frames. 0 learns from these alone.
        classifier_motion: whether its scores are multiplied by what a second classifier says, of
            motions alone, fitted to the frame before and trusted as far as it was right about it.
            Nothing is said without ``motion="flow"`` and a classifier.
        keep_topology: whether an object that has no hole in the annotated frames gets none later,
            if what it encloses moves as it does, and one of a single piece loses others that
            neither move nor look like it. Nothing is done without ``classifier_motion``.
        restart: ``None`` lets all context frames vote together. A share makes a random walk with
            restart of it: with this probability labels are taken from the annotated frames, else
            from the recent ones, the neighbours in each being sought apart.
        neighbours: k, how many of the most similar context tokens vote, over all frames at once.
        temperature: of the softmax over their cosine similarities.
        sharpness: power that the labels found for a token are raised to, before they are made to
            sum to one again and become context. 1 leaves them as they are; votes of many
            neighbours, repeated frame after frame, blur labels until small objects fade, which
            more than 1 counteracts. Labels that end below 1 % are dropped.
        mask_to_grid: how the one-hot mask becomes soft labels of tokens (``corners`` aligns the
            corners of the two grids, else their outer edges).
        grid_to_mask: how soft labels become a mask; ``bilinear-then-nearest`` decides at the size
            the backbone saw and enlarges the decision; ``guided`` lets borders follow the colours
            of the frame (a guided filter; bilinear where there is no frame to look at).
        min_max: whether each object's map is stretched to [0, 1] over the frame before deciding.
    """

    short_side: int | None = None
    enlarge: float | None = None
    small_object: int = 0
    rounding: Rounding = "none"
    multiple: int = 0
    resampling: Resampling = "bilinear"
    recent: int = 20
    spacing: Spacing = "every"
    early: Early = "repeat"
    window: WindowShape = "open-circle"
    radius: float = 12.0
    annotated_in_window: bool = False
    annotated_count: int = 1
    motion_sigma: float | None = None
    motion: Motion = "none"
    classifier: float = 0.0
    classifier_recent: float = 0.0
    classifier_motion: bool = False
    keep_topology: bool = False
    restart: float | None = None
    neighbours: int = 10
    temperature: float = 0.05
    sharpness: float = 1.0
    mask_to_grid: MaskToGrid = "bilinear"
    grid_to_mask: GridToMask = "bilinear"
    min_max: bool = False

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            value = getattr(self, name)
            if get_origin(hint) is Literal and value not in get_args(hint):
                raise UsageError(
                    f"{name} cannot be {value!r}: {near_names(str(value), get_args(hint))}"
                )
            _check_kind(name, value, hint)
        positive = {
            "radius": self.radius,
            "temperature": self.temperature,
            "sharpness": self.sharpness,
        }
        if self.motion_sigma is not None:
            positive["motion_sigma"] = self.motion_sigma
        for name, number in positive.items():
            if not (math.isfinite(number) and number > 0):
                raise UsageError(f"{name} must be a positive number, not {number}")
        if self.enlarge is not None and not 1 <= self.enlarge < math.inf:
            raise UsageError(f"enlarge must be none or a number from 1 on, not {self.enlarge}")
        if self.grid_to_mask == "guided" and self.min_max:
            raise UsageError("min_max does not go with grid_to_mask=guided: leave one of them out")
        if not 0 <= self.classifier < math.inf:
            raise UsageError(f"classifier must be a number from 0 on, not {self.classifier}")
        if not 0 <= self.classifier_recent < 1:
            raise UsageError(
                f"classifier_recent must be a share from 0 to below 1, not {self.classifier_recent}"
            )
        if self.restart is not None:
            if not 0 <= self.restart <= 1:
                raise UsageError(f"restart must be none or a share from 0 to 1, not {self.restart}")
            if self.annotated_in_window or self.early != "skip":
                raise UsageError("restart needs annotated_in_window=false and early=skip")
        if self.annotated_count < 1:
            raise UsageError(f"annotated_count must be at least 1, not {self.annotated_count}")
        if self.neighbours < 1:
            raise UsageError(f"neighbours must be at least 1, not {self.neighbours}")
        if min(self.recent, self.multiple, self.small_object) < 0:
            raise UsageError("recent, multiple and small_object cannot be negative")
        if self.short_side is not None and self.short_side < 16:
            raise UsageError(f"short_side must be at least 16 pixels, not {self.short_side}")

    @property
    def context_offsets(self) -> tuple[int, ...]:
        """How many frames back the context frames lie that are not annotated, the newest first."""
        return _offsets(self.recent, self.spacing)

    @property
    def distance_penalty(self) -> float:
        """What a similarity inside the window loses for each squared token of distance."""
        return self.temperature / (2 * self.motion_sigma**2) if self.motion_sigma else 0.0

    def finer(self) -> PropagationConfig:
        """Return the protocol on a grid half as fine again, with windows that reach as far."""
        by = 1.5
        return dataclasses.replace(
            self,
            short_side=self.short_side and round(by * self.short_side),
            enlarge=self.enlarge and by * self.enlarge,
            radius=by * self.radius,
            motion_sigma=self.motion_sigma and by * self.motion_sigma,
            small_object=0,
        )

    def with_settings(self, settings: Mapping[str, Any]) -> PropagationConfig:
        """Return a copy with ``settings`` put in: values by name, also as a person types them.

        Raises:
            UsageError: an unknown name (near names are offered) or a value of the wrong kind.
        """
        return change_settings(self, settings)


@lru_cache(maxsize=8)
def _offsets(recent: int, spacing: Spacing) -> tuple[int, ...]:
    if spacing == "every":
        return tuple(range(1, recent + 1))
    offsets: list[int] = []
    offset = 1
    while offset <= recent:
        offsets.append(offset)
        offset += math.ceil(offset / 3)
    return tuple(offsets)


def _check_kind(name: str, value: Any, hint: Any) -> None:
    """Refuse what is no number where one is needed; numbers of numpy are numbers."""
    if value is None and type(None) in get_args(hint):
        return
    if hint in (int, int | None) and not isinstance(value, numbers.Integral):
        raise UsageError(f"{name} must be a whole number, not {value!r}")
    if hint in (float, float | None) and not isinstance(value, numbers.Real):
        raise UsageError(f"{name} must be a number, not {value!r}")
