"""One object on one frame, from clicks and a box: `vos.segment_frame`.

The frame is looked at on the grid of its features. A small network reads the cues of all clicks, or
those of a box (`cues.py`), and says where the object is. A random walk over the grid, in which the
clicks are fixed, lets neighbours agree unless an edge lies between them. A click changes what is
connected with it and nothing else. The borders of the mask are those of the image, by the guided
filter.

The networks were fitted to masks by ``tools/fit_interactive.py``; the walk with seeds is that of
Grady, "Random Walks for Image Segmentation", 2006, with the networks' word as a prior.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import cg

from vos.errors import UsageError
from vos.propagation.guided import guided_mask
from vos.segmentation.cues import FrameCues, Place
from vos.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    import torch

    from vos.backbones import Backbone
    from vos.backbones.inference import FeatureExtractor

WEIGHTS = Path(__file__).with_name("interactive.safetensors")
_PRIOR = 0.05  # weight of what the networks say, beside that of a neighbour without an edge
_SEED = 100.0  # weight of a click
_TOLERANCE = 1e-4
_WEAKEST = 1e-3  # weight of a neighbour behind the strongest edge


class Click(NamedTuple):
    """A place on the frame, in pixels, that belongs to the object, or does not."""

    x: int
    y: int
    adds: bool = True


class Box(NamedTuple):
    """The pixels with ``left <= x < right`` and ``top <= y < bottom``."""

    left: int
    top: int
    right: int
    bottom: int


class Network(NamedTuple):
    """One hidden layer over the cues of a token.

    Attributes:
        mean, scale: (n,) float32, of each cue.
        hidden, hidden_bias: (m, n) and (m,).
        out, out_bias: (m,) and (1,).
    """

    mean: np.ndarray
    scale: np.ndarray
    hidden: np.ndarray
    hidden_bias: np.ndarray
    out: np.ndarray
    out_bias: np.ndarray

    def __call__(self, cues: np.ndarray) -> np.ndarray:
        """Return the probability (h, w) of cues (n, h, w)."""
        values = (np.moveaxis(cues, 0, -1) - self.mean) / self.scale
        values = np.tanh(values @ self.hidden.T + self.hidden_bias) @ self.out + self.out_bias
        return 1 / (1 + np.exp(-values))


class Networks(NamedTuple):
    """What reads clicks, and what reads a box."""

    clicks: Network
    box: Network

    @classmethod
    def from_file(cls, path: Path = WEIGHTS) -> Networks:
        """Read what `save_networks` wrote."""
        from safetensors.numpy import load_file

        arrays = load_file(path)
        return cls(*(Network(*(arrays[f"{a}.{b}"] for b in Network._fields)) for a in cls._fields))


def save_networks(networks: Networks, path: Path = WEIGHTS) -> None:
    """Write networks so that `Networks.from_file` reads them."""
    from safetensors.numpy import save_file

    parts = networks._asdict().items()
    save_file(
        {f"{a}.{b}": np.ascontiguousarray(v) for a, net in parts for b, v in net._asdict().items()},
        path,
    )


@cache
def shipped_networks() -> Networks:
    """Return the networks that come with vos."""
    return Networks.from_file()


def segment_frame(
    image: np.ndarray,
    *,
    points: Sequence[Sequence[Any]] = (),
    box: Sequence[Any] | None = None,
    mask: np.ndarray | None = None,
    model: str | Path | Backbone | FeatureExtractor = DEFAULT_MODEL,
    features: np.ndarray | torch.Tensor | None = None,
    device: str | torch.device = "auto",
) -> np.ndarray:
    """Return the mask of the object that is clicked on, or that a box surrounds.

    >>> mask = vos.segment_frame(frame, points=[(310, 200), (420, 90, False)])

    Args:
        image: (H, W, 3) uint8 RGB.
        points: ``(x, y)`` in pixels on the object, or ``(x, y, False)`` beside it, in the order in
            which they correct the mask. The first lies on the object unless there is a box or a
            mask.
        box: ``(left, top, right, bottom)`` in pixels, around the object: nothing outside is marked
            before a point says so.
        mask: (H, W) bool, what the points correct. It is not used with a box.
        model: what `vos.load` takes, a backbone, or an extractor.
        features: (C, h, w) of the image where they are at hand; then no model is used.

    Returns:
        (H, W) bool.

    Raises:
        UsageError: no image; neither points nor a box; ones that lie outside the image or are
            none; an unknown model or device.
    """
    clicks, surrounded = check_prompts(image, points, box, mask)
    if features is None:
        from vos.segmentation.propagate import make_extractor

        features = frame_features(image, make_extractor(model, device))
    values = np.asarray(features, np.float32)
    if values.ndim != 3 or 0 in values.shape:
        raise UsageError(f"features have the shape {values.shape}: give (channels, h, w)")
    return InteractiveFrame(image, values).mask(clicks, surrounded, mask)


def frame_features(image: np.ndarray, extractor: FeatureExtractor) -> np.ndarray:
    """Return (C, h, w) float32: the features of a frame as the default preset looks at it."""
    from vos.propagation import preset
    from vos.propagation.frame_size import frame_size, resize_frame

    config = preset("default")
    height, width = image.shape[:2]
    seen = frame_size(height, width, config, extractor.stride)
    return extractor([resize_frame(image, seen, config.resampling)])[0].float().cpu().numpy()


def check_prompts(
    image: np.ndarray,
    points: Sequence[Sequence[Any]],
    box: Sequence[Any] | None,
    mask: np.ndarray | None = None,
) -> tuple[tuple[Click, ...], Box | None]:
    """Return points and box as `segment_frame` takes them, whole and inside the image.

    Raises:
        UsageError: as `segment_frame`.
    """
    if getattr(image, "ndim", 0) != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise UsageError("the image is no (height, width, 3) array of uint8 RGB")
    height, width = image.shape[:2]
    clicks = tuple(_click(point, width, height) for point in points)
    surrounded = None if box is None else _box(box, width, height)
    if mask is not None and (mask.shape != (height, width) or mask.dtype != bool):
        raise UsageError(f"the mask to correct is no ({height}, {width}) array of bool")
    if surrounded is None and not (clicks and (clicks[0].adds or mask is not None)):
        raise UsageError("give a first point that lies on the object, or a box around it")
    return clicks, surrounded


def _click(point: Sequence[Any], width: int, height: int) -> Click:
    try:
        x, y, adds = (*point, True)[:3]
        click = Click(int(x), int(y), bool(adds))
    except (TypeError, ValueError):
        raise UsageError(f"{point!r} is no point: give (x, y), or (x, y, False)") from None
    if not (0 <= click.x < width and 0 <= click.y < height):
        raise UsageError(
            f"the point {click.x}, {click.y} lies outside the image of {width} x {height} pixels"
        )
    return click


def _box(box: Sequence[Any], width: int, height: int) -> Box:
    try:
        left, top, right, bottom = (int(value) for value in box)
    except (TypeError, ValueError):
        raise UsageError(f"{box!r} is no box: give (left, top, right, bottom)") from None
    inside = Box(max(left, 0), max(top, 0), min(right, width), min(bottom, height))
    if inside.right - inside.left < 4 or inside.bottom - inside.top < 4:
        raise UsageError(
            f"the box {left}, {top}, {right}, {bottom} shows less than 4 x 4 pixels of the image "
            f"of {width} x {height}: give left, top, right, bottom around the object"
        )
    return inside


class InteractiveFrame:
    """A frame made ready for clicks; what was computed for the first ones is kept for the next.

    Args:
        image: (H, W, 3) uint8 RGB.
        features: (C, h, w) float32.
    """

    def __init__(
        self, image: np.ndarray, features: np.ndarray, networks: Networks | None = None
    ) -> None:
        self.image = image
        self.cues = FrameCues(image, features)
        self._walk = _Walk(self.cues)
        self.use(networks)

    def use(self, networks: Networks | None) -> None:
        """Answer by these networks from now on, by those that come with vos where it is None."""
        self._networks = networks
        self._known: dict[tuple[bytes, Box | None, tuple[Click, ...]], np.ndarray] = {}

    def mask(
        self, clicks: Sequence[Click], box: Box | None = None, start: np.ndarray | None = None
    ) -> np.ndarray:
        """Return (H, W) bool; see `segment_frame`, whose checks are not made here.

        Args:
            start: (H, W) bool, what the clicks correct: elsewhere it stays as it is.
        """
        clicks = tuple(clicks)
        if start is None or box is not None:
            mask = self._refine(self.labels(clicks, box))
        else:
            before = self._refine(self.labels((), None, start))
            after = self._refine(self.labels(clicks, None, start))
            mask = (start | (after & ~before)) & ~(before & ~after)
        if box is not None and not clicks:
            mask[: box.top] = mask[box.bottom :] = False
            mask[:, : box.left] = mask[:, box.right :] = False
        return self._hold(mask, clicks)

    def _refine(self, labels: np.ndarray) -> np.ndarray:
        """(H, W) bool from (h, w): with the borders of the image."""
        import torch

        both = torch.from_numpy(np.stack([1 - labels, labels], axis=-1).reshape(-1, 2))
        return guided_mask(both, [1], self.cues.grid, self.image).astype(bool)

    def _hold(self, mask: np.ndarray, clicks: tuple[Click, ...]) -> np.ndarray:
        """Let the token around each click be what the click says."""
        (rows, columns), (height, width) = self.cues.grid, self.image.shape[:2]
        radius = max(1, min(height // rows, width // columns) // 2)
        held = mask.astype(np.uint8)
        for click in clicks:
            cv2.circle(held, (click.x, click.y), radius, int(click.adds), cv2.FILLED)
        return held.astype(bool)

    def labels(
        self, clicks: tuple[Click, ...], box: Box | None, start: np.ndarray | None = None
    ) -> np.ndarray:
        """Return (h, w) float32 in [0, 1]: how sure a token is the object's."""
        if start is not None and box is None:
            size = self.cues.grid[::-1]
            begin = cv2.resize(start.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        else:
            begin = None
        return self._labels(clicks, box, begin)

    def _labels(
        self, clicks: tuple[Click, ...], box: Box | None, begin: np.ndarray | None
    ) -> np.ndarray:
        key = (b"" if begin is None else begin.tobytes(), box, clicks)
        if key not in self._known:
            self._known[key] = self._compute(clicks, box, begin)
        return self._known[key]

    def _compute(
        self, clicks: tuple[Click, ...], box: Box | None, begin: np.ndarray | None
    ) -> np.ndarray:
        if not clicks and begin is not None:
            return begin
        if not clicks:
            assert box is not None
            return self._in_box(box)
        places = [(self.place(click), click.adds) for click in clicks]
        if len(clicks) == 1 and box is None and begin is None:
            return self._by_clicks(places)
        before = self._labels(clicks[:-1], box, begin)
        known = places
        if (
            box is not None or begin is not None
        ):  # the middle of what was there is the object's, too
            known = [(_innermost(before), True), *places]
        after = self._by_clicks(known)
        place, adds = places[-1]
        changed = ((after > 0.5) != (before > 0.5)).astype(np.uint8)
        changed[place] = 1
        _, parts = cv2.connectedComponents(changed, connectivity=4)
        labels = np.where(parts == parts[place], after, before)
        labels[place] = adds
        return labels

    def _in_box(self, box: Box) -> np.ndarray:
        inside = self.tokens_inside(box)
        said = (self._networks or shipped_networks()).box(self.cues.box(inside))
        return self._walk(np.where(inside, said, 0), np.where(inside, _PRIOR, _SEED))

    def _by_clicks(self, places: Sequence[tuple[Place, bool]]) -> np.ndarray:
        said = (self._networks or shipped_networks()).clicks(click_cues(self.cues, places))
        weights = np.full(self.cues.grid, _PRIOR)
        for place, adds in places:
            weights[place], said[place] = _SEED, adds
        return self._walk(said, weights)

    def place(self, click: Click) -> Place:
        """Return the token that a click lies in."""
        (rows, columns), (height, width) = self.cues.grid, self.image.shape[:2]
        return click.y * rows // height, click.x * columns // width

    def tokens_inside(self, box: Box) -> np.ndarray:
        """Return (h, w) bool: the tokens that touch a box."""
        (rows, columns), (height, width) = self.cues.grid, self.image.shape[:2]
        inside = np.zeros(self.cues.grid, bool)
        inside[
            box.top * rows // height : -(-box.bottom * rows // height),
            box.left * columns // width : -(-box.right * columns // width),
        ] = True
        return inside


def click_cues(frame: FrameCues, places: Sequence[tuple[Place, bool]]) -> np.ndarray:
    """Return (n, h, w) float32 of clicks.

    Args:
        places: the tokens of the clicks, and whether they add; at least one does.
    """
    on = [place for place, adds in places if adds]
    off = [place for place, adds in places if not adds]
    near, path = frame.nearness(on)
    beside, other_path = frame.nearness(off)
    border = frame.border
    relative = [
        path / (path + np.minimum(frame.border_path, other_path) + 1e-3),
        near[0] - np.maximum(border[3], beside[0]),
        path / (path + other_path + 1e-3),
    ]
    everywhere = [np.mean([border[cue][place] for place in on]) for cue in (1, 3, 5, 6)]
    everywhere += [(near[cue] > level).mean() for cue, level in _EXTENTS]
    everywhere += [len(on) / 3, len(off) / 3]
    same = [np.full(frame.grid, value) for value in everywhere]
    return np.stack([*near, *beside, *border, *relative, *same]).astype(np.float32)


_EXTENTS = ((0, 0.3), (0, 0.5), (4, 0.3), (4, 0.6))  # cue, and how near counts


def _innermost(labels: np.ndarray) -> Place:
    """Return the token furthest from all that is not the object's."""
    inside = np.pad((labels > 0.5).astype(np.uint8), 1)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(row), int(column)


class _Walk:
    """Random walks on the grid of a frame: where do they end, from each token?"""

    def __init__(self, frame: FrameCues) -> None:
        count = frame.grid[0] * frame.grid[1]
        tokens = np.arange(count).reshape(frame.grid)
        weights = np.exp(-np.r_[frame.across.ravel(), frame.down.ravel()]) + _WEAKEST
        here = np.r_[tokens[:, 1:].ravel(), tokens[1:].ravel()]
        there = np.r_[tokens[:, :-1].ravel(), tokens[:-1].ravel()]
        pairs = (np.r_[here, there], np.r_[there, here])
        links = sparse.coo_array((np.r_[weights, weights], pairs), shape=(count, count)).tocsc()
        self._laplacian = (sparse.diags_array(links.sum(axis=1)) - links).tocsr()

    def __call__(self, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return (h, w) float32: labels that neighbours agree on.

        Args:
            labels: (h, w) in [0, 1], where a walk that stops at a token ends.
            weights: (h, w), how likely it stops, against a step to a neighbour.
        """
        system = self._laplacian + sparse.diags_array(weights.ravel())
        scale = sparse.diags_array(1 / system.diagonal())
        wanted = (weights * labels).ravel()
        solved, _ = cg(system, wanted, labels.ravel(), rtol=_TOLERANCE, M=scale)
        return np.clip(solved, 0, 1).reshape(labels.shape).astype(np.float32)
