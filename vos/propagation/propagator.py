"""The propagator: holds the context, takes annotations, labels one frame after another."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from vos.errors import UsageError
from vos.propagation.agreement import agreement
from vos.propagation.classifier import Examples, ObjectClassifier, beside
from vos.propagation.config import PropagationConfig
from vos.propagation.context import Context, ContextFrame, Source
from vos.propagation.engines.choose import Engine, engine_for
from vos.propagation.labels import mask_to_labels, sharpen
from vos.propagation.motion import token_motion
from vos.propagation.motion_cue import MotionCue, motion_waves
from vos.propagation.topology import Topology

MAX_OBJECTS = 254
LEARN_EVERY = 4  # frames: neighbours teach the classifier almost the same


@dataclass(frozen=True)
class SoftLabels:
    """What the propagator knows of one frame.

    Attributes:
        ids: of the objects, in the order of the channels after the background.
        labels: (N, K + 1) float, background first.
        grid: height and width in tokens, N = height * width.
    """

    ids: tuple[int, ...]
    labels: Tensor
    grid: tuple[int, int]
    config: PropagationConfig
    engine: Engine

    def mask(
        self,
        size: tuple[int, int],
        seen_size: tuple[int, int] | None = None,
        *,
        frame: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return (H, W) uint8 ids at ``size``.

        Args:
            size: height and width of the mask.
            seen_size: those of the frame as the backbone saw it.
            frame: (H, W, 3) uint8 RGB of ``size``, for protocols that look at it again
                (``grid_to_mask="guided"``); without it they enlarge labels bilinearly.
        """
        config = self.config
        if config.grid_to_mask == "guided":
            if frame is not None:
                from vos.propagation.guided import guided_mask  # compiled loops load slowly

                return guided_mask(self.labels, self.ids, self.grid, frame)
            config = dataclasses.replace(config, grid_to_mask="bilinear")
        return self.engine.labels_to_mask(
            self.labels, self.ids, self.grid, size, seen_size or size, config
        )


class Propagator:
    """Carries object labels through a video, one frame at a time (one direction at a time).

    >>> propagator = Propagator(preset("crw"))
    >>> propagator.annotate(0, features_0, mask)
    >>> propagator.step(1, features_1).mask((480, 854))

    Features are (C, h, w), of any backbone and any scale: only their directions count. Frames may
    come in any order, but "recent" means those of the last calls. Memory is bounded by the number
    of annotated frames plus ``config.recent``.
    """

    def __init__(self, config: PropagationConfig, *, engine: str = "auto") -> None:
        if not isinstance(config, PropagationConfig):
            raise UsageError(
                f"config is a PropagationConfig, such as vos.preset('default') gives, "
                f"not of type {type(config).__name__}"
            )
        self.config = config
        self.ids: tuple[int, ...] = ()
        self._engine_name = engine
        self._context = Context(config)
        self._classifier: ObjectClassifier | None = None
        self._is_learnt = False  # whether what follows is of all annotated frames
        self._annotated: Examples | None = None  # of the annotated frames
        self._found: Examples | None = None  # of frames labelled since the last annotation
        self._steps = 0  # since then
        self._cue: MotionCue | None = None  # of the last frame, if its motion is known
        self._topology = Topology()  # of the objects as annotated
        self._channels = 0
        self._grid: tuple[int, int] | None = None

    def annotate(
        self,
        index: int,
        features: Tensor | np.ndarray,
        mask: np.ndarray,
        *,
        objects: Iterable[int] | None = None,
        flow: np.ndarray | Tensor | None = None,
    ) -> SoftLabels:
        """Say what is true of frame ``index``: before the first step or midway.

        The annotation speaks for the objects it shows (or for ``objects``, some of which may have
        no pixel: they are then absent). What the last step found of other objects on this frame
        stays, except under the pixels of the objects shown.

        Args:
            features: (C, h, w) of the frame.
            mask: (H, W) uint8 ids; 0 is background, 255 is void and counts as background.
            flow: as for ``step``, of a frame that was not stepped to before.

        Raises:
            UsageError: ``features`` is no such map or differs in size or channels from earlier
                ones, ``mask`` is not (H, W), or there are more than 254 objects.
        """
        if np.ndim(mask) != 2:
            raise UsageError(f"a mask is an array (H, W) of ids, not {np.shape(mask)}")
        mask = np.asarray(mask)
        shown = sorted(set(objects) if objects is not None else set(np.unique(mask)) - {0, 255})
        rows = self._rows(features)
        self._follow(flow, rows)
        before = next((f.labels for f in self._context.recent if f.index == index), None)
        self._add_objects(int(object_id) for object_id in shown)
        labels = mask_to_labels(mask, self.ids, self._known_grid(), self.config).to(rows)
        if before is not None:
            labels = self._merge(before, labels, shown)
        self._context.add_annotated(ContextFrame(index, rows, labels))
        self._is_learnt = False
        return self._soft(labels)

    def step(
        self,
        index: int,
        features: Tensor | np.ndarray,
        flow: np.ndarray | Tensor | None = None,
    ) -> SoftLabels:
        """Label frame ``index`` from the context and make it part of the context.

        Args:
            features: (C, h, w) of the frame.
            flow: (H, W, 2) float optical flow from this frame to the frame given last before it
                (in time it may lie after this one), whoever computed it: columns and rows, in
                pixels of a frame of H x W, which need not be the size of anything else. Pixels
                that are not finite are not known; they, and all of them for ``None``, count as not
                moving. Protocols without ``motion`` leave it aside.

        Raises:
            UsageError: nothing was annotated yet, ``features`` is no such map, it differs in size
                or channels from earlier ones, or ``flow`` has another shape.
        """
        if not self._context.annotated:
            raise UsageError("annotate a frame before propagating to others")
        if not self._is_learnt:  # once, however many frames were annotated
            self._learn_annotated()
        learnt = self._rows(features)
        motion = self._follow(flow, learnt)
        waves = None if motion is None else motion_waves(motion)
        rows = self._describe(learnt, waves)
        grid = self._known_grid()
        labels = self._vote(rows, self._context.sources(grid), grid)
        if self.config.sharpness != 1:
            labels = sharpen(labels, self.config.sharpness)
        if self.config.keep_topology and waves is not None:
            labels = self._restore(labels, learnt, waves)
        self._context.add_recent(ContextFrame(index, rows, labels))
        if self.config.classifier and self.config.classifier_recent:
            self._learn_found(learnt, labels)
        if self.config.classifier and self.config.classifier_motion:
            self._cue = None if waves is None else MotionCue.of(waves, labels, self._cue)
        return self._soft(labels)

    def _vote(self, rows: Tensor, sources: list[Source], grid: tuple[int, int]) -> Tensor:
        """Return (N, K + 1) labels: the vote of all sources, or one step of a walk with restart."""
        engine, restart = self._engine(rows), self.config.restart
        recent = [source for source in sources if source.windowed]
        if restart is None or not recent:
            return engine.propagate_labels(rows, sources, grid, self.config)
        annotated = [source for source in sources if not source.windowed]
        onward, home = (
            engine.propagate_labels(rows, part, grid, self.config) for part in (recent, annotated)
        )
        return torch.lerp(onward, home, restart)

    def confidence(self) -> dict[int, float]:
        """Return how sure the labels of the last frame are, 0 to 1 by object id.

        An annotated frame is sure; of another one it is the `agreement` with labels found anew in
        the annotated frames. That takes about as long as half a step, so it is done when asked for.

        Raises:
            UsageError: nothing was annotated yet.
        """
        if not self._context.annotated:
            raise UsageError("annotate a frame before asking how sure labels are")
        last = self._context.last
        assert last is not None
        if any(last is frame for frame in self._context.annotated):
            return dict.fromkeys(self.ids, 1.0)
        found = agreement(last, self._context.annotated, self._known_grid(), self.config)
        return dict(zip(self.ids, found.tolist(), strict=True))

    def _follow(self, flow: np.ndarray | Tensor | None, rows: Tensor) -> Tensor | None:
        """Let the frame of ``rows`` be the newest; return its (N, 2) motion, if it is known."""
        if self.config.motion != "flow" or flow is None or not len(self._context):
            return None
        grid = self._known_grid()
        motion = token_motion(flow, grid).to(rows)
        self._context.move(motion, grid)
        return motion

    def _learn_annotated(self) -> None:
        """Learn the objects from all annotated frames alone, and describe these frames anew."""
        annotated = self._context.annotated
        self._is_learnt = True
        if self.config.keep_topology:
            known = [frame.labels for frame in annotated]
            self._topology = Topology.of(known, self._known_grid())
        if not self.config.classifier:
            return
        rows = [functional.normalize(frame.features[:, : self._channels]) for frame in annotated]
        labels = torch.cat([frame.labels for frame in annotated])
        self._annotated = Examples.of(torch.cat(rows), labels)
        self._found, self._steps, self._cue = None, 0, None
        self._classifier = ObjectClassifier.fit(self._annotated)
        for frame, features in zip(annotated, rows, strict=True):
            frame.features = self._describe(features)
            frame.derived.clear()

    def _learn_found(self, rows: Tensor, labels: Tensor) -> None:
        """Learn from the frame just labelled too; what came before it counts half of it."""
        self._steps += 1
        if self._steps % LEARN_EVERY:
            return
        assert self._annotated is not None
        found = Examples.of(rows, labels)
        self._found = found if self._found is None else self._found.mixed(found, 0.5)
        examples = self._annotated.mixed(self._found, self.config.classifier_recent)
        self._classifier = ObjectClassifier.fit(examples)

    def _restore(self, labels: Tensor, learnt: Tensor, waves: Tensor) -> Tensor:
        """Return labels with the topology of the annotations, once it is known how objects move."""
        cue, classifier = self._cue, self._classifier
        if cue is None or classifier is None:
            return labels
        return self._topology.restored(
            labels,
            self._known_grid(),
            motion=lambda tokens: cue.foretell(waves[tokens]),
            looks=lambda tokens: classifier.foretell(learnt[tokens]),
        )

    def _describe(self, rows: Tensor, waves: Tensor | None = None) -> Tensor:
        """Return (N, C) features as they are compared: beside them, the classifier's scores."""
        if self._classifier is None:
            return rows
        factors = None
        if self._cue is not None and waves is not None:
            factors = self._cue.factors(waves, self._known_grid())
        return beside(rows, self._classifier.scores(rows, factors), self.config.classifier)

    def _rows(self, features: Tensor | np.ndarray) -> Tensor:
        """(C, h, w) -> (N, C), each row of length one."""
        features = _feature_map(features)
        channels, *grid = (int(side) for side in features.shape)
        if self._grid is None:
            self._channels, self._grid = channels, (grid[0], grid[1])
        if tuple(grid) != self._grid:
            raise UsageError(
                f"feature maps of one video must have one size: {tuple(grid)} after {self._grid}"
            )
        if channels != self._channels:
            raise UsageError(
                "feature maps of one video must come from one backbone: "
                f"{channels} channels after {self._channels}"
            )
        rows = torch.empty(features[0].numel(), channels, device=features.device)
        rows.copy_(features.detach().flatten(1).T)
        return rows.div_(torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp(min=1e-12))

    def _known_grid(self) -> tuple[int, int]:
        assert self._grid is not None
        return self._grid

    def _add_objects(self, ids: Iterable[int]) -> None:
        new = [object_id for object_id in ids if object_id not in self.ids]
        if len(self.ids) + len(new) > MAX_OBJECTS:
            raise UsageError(f"at most {MAX_OBJECTS} objects can be followed at once")
        if new:
            self.ids = (*self.ids, *new)
            self._context.add_objects(len(self.ids) + 1)

    def _merge(self, before: Tensor, annotation: Tensor, shown: Sequence[int]) -> Tensor:
        """Labels of a frame propagated to earlier: the annotation decides on its own objects."""
        channels = torch.tensor([1 + self.ids.index(object_id) for object_id in shown])
        other = functional.pad(before, (0, annotation.shape[1] - before.shape[1]))
        had = other[:, channels].sum(1)
        other[:, channels] = 0
        other[:, 0] += had  # what they had falls to the background
        painted = annotation[:, channels].sum(1, keepdim=True)  # (N, 1) share of shown objects
        merged = other * (1 - painted)
        merged[:, channels] += annotation[:, channels]
        return merged

    def _soft(self, labels: Tensor) -> SoftLabels:
        engine = self._engine(labels)
        return SoftLabels(self.ids, labels, self._known_grid(), self.config, engine)

    def _engine(self, tensor: Tensor) -> Engine:
        return engine_for(tensor.device, self._engine_name)


def _feature_map(features: Tensor | np.ndarray) -> Tensor:
    """Return the features of one frame as a tensor (C, h, w).

    Raises:
        UsageError: they are anything else; the message says what to pass instead.
    """
    if isinstance(features, np.ndarray) and features.dtype.kind in "fiu":
        features = torch.from_numpy(np.ascontiguousarray(features))
    if not isinstance(features, Tensor):
        raise UsageError(
            f"features are a tensor or an array of numbers (C, h, w), not {_described(features)}"
        )
    if features.ndim == 4:
        raise UsageError(
            "features are those of one frame, (C, h, w), without a batch axis: "
            f"pass features[0], ... of {tuple(features.shape)} one by one"
        )
    if features.ndim != 3 or 0 in features.shape or features.is_complex():
        raise UsageError(f"features are real numbers (C, h, w), not {_described(features)}")
    return features


def _described(value: object) -> str:
    shape, kind = getattr(value, "shape", None), getattr(value, "dtype", "")
    return type(value).__name__ if shape is None else f"{kind} {tuple(shape)}".strip()
