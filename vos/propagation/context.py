"""The context: the frames that labels are taken from, and how often each one counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vos.propagation.config import PropagationConfig
from vos.propagation.motion import follow, places_led_to


@dataclass
class ContextFrame:
    """One frame of the context.

    Attributes:
        index: of the frame in its video.
        features: (N, C) float, each row of length one.
        labels: (N, K + 1) float soft labels, background first.
        derived: what an engine works out of this frame once and wants to find again.
        shift: (N, 2) float rows and columns, in tokens, from each token of the newest frame to
            where it was in this one; ``None`` stands for no motion.
    """

    index: int
    features: Tensor
    labels: Tensor
    derived: dict[str, Any] = field(default_factory=dict, repr=False)
    shift: Tensor | None = None


@dataclass(frozen=True)
class Source:
    """A context frame as one step uses it.

    Attributes:
        windowed: whether labels are taken from inside the window only, or from anywhere.
        count: how often the frame counts.
        leads: (N,) int64, the place in the frame that the flow leads to from each token, around
            which a second window lies; ``None`` where the only window is around the token's own.
    """

    frame: ContextFrame
    windowed: bool
    count: int = 1
    leads: Tensor | None = None


class Context:
    """Annotated frames (kept for good) and the last few frames (kept for a while)."""

    def __init__(self, config: PropagationConfig) -> None:
        self._config = config
        self.annotated: list[ContextFrame] = []
        self.last: ContextFrame | None = None  # annotated or stepped to
        self.recent: deque[ContextFrame] = deque(maxlen=config.recent)

    def __len__(self) -> int:
        return len(self.annotated) + len(self.recent)

    def add_annotated(self, frame: ContextFrame) -> None:
        """Keep ``frame`` for good. What was propagated before it is forgotten.

        People annotate midway because what was propagated is wrong or incomplete: the last frames
        must not outvote them. Earlier annotations stay.
        """
        self.annotated = [known for known in self.annotated if known.index != frame.index]
        self.annotated.append(frame)
        self.last = frame
        self.recent.clear()
        if self._config.early != "skip":
            self.recent.append(frame)

    def add_recent(self, frame: ContextFrame) -> None:
        """Keep ``frame`` until ``config.recent`` later ones have come."""
        self.recent.append(frame)
        self.last = frame

    def add_objects(self, channels: int) -> None:
        """Give every frame's soft labels ``channels`` channels, for objects not known before.

        Earlier annotations called the new objects background, having no name for them: their
        background abstains from now on.
        """
        for frame in self._frames():
            known = frame.labels.shape[1]
            frame.labels = torch.nn.functional.pad(frame.labels, (0, channels - known))
            frame.labels[:, 0] = 0
            frame.derived.clear()

    def move(self, motion: Tensor, grid: tuple[int, int]) -> None:
        """Let another frame be the newest: ``motion`` (N, 2) leads from it to the newest so far."""
        frames = self._frames()
        still = torch.zeros_like(motion)
        known = [still if frame.shift is None else frame.shift for frame in frames]
        for frame, shift in zip(frames, follow(motion, torch.stack(known), grid), strict=True):
            frame.shift = shift

    def _frames(self) -> list[ContextFrame]:
        """Return each frame once, whether it is annotated, recent or both."""
        return list({id(frame): frame for frame in (*self.annotated, *self.recent)}.values())

    def sources(self, grid: tuple[int, int]) -> list[Source]:
        """Return what the next frame takes its labels from, newest frames first."""
        config = self._config
        counts: dict[int, int] = {}
        frames: dict[int, ContextFrame] = {}
        offsets = config.context_offsets
        known = [self.recent[-offset] for offset in offsets if offset <= len(self.recent)]
        for frame in known:
            frames[frame.index] = frame
            counts[frame.index] = counts.get(frame.index, 0) + 1
        missing = len(offsets) - len(known)
        if config.early == "repeat" and missing > 0:
            newest = self.annotated[-1]
            frames[newest.index] = newest
            counts[newest.index] = counts.get(newest.index, 0) + missing
        if config.annotated_in_window:
            for frame in self.annotated:
                frames[frame.index] = frame
                counts[frame.index] = counts.get(frame.index, 0) + config.annotated_count
        leads = _leads(list(frames.values()), grid)
        windowed = [
            Source(frame, True, counts[index], lead)
            for (index, frame), lead in zip(frames.items(), leads, strict=True)
        ]
        if config.annotated_in_window:
            return windowed
        everywhere = [Source(frame, False, config.annotated_count) for frame in self.annotated]
        return windowed + everywhere


def _leads(frames: Sequence[ContextFrame], grid: tuple[int, int]) -> list[Tensor | None]:
    """Return where the flow leads to in each frame; None where nothing moved by half a token."""
    shifts = {place: frame.shift for place, frame in enumerate(frames) if frame.shift is not None}
    leads: list[Tensor | None] = [None] * len(frames)
    if shifts:
        led = places_led_to(torch.stack(list(shifts.values())), grid)
        moved = (led != torch.arange(led.shape[1], device=led.device)).any(1).tolist()
        for place, lead, does_move in zip(shifts, led, moved, strict=True):
            leads[place] = lead if does_move else None
    return leads
