"""How equivariant a backbone really is: transform, then compute, against the other way round.

For a transformation T and a network Phi the error is

    || T Phi(f) - Phi(T f) ||^2 / || T Phi(f) ||^2

over the tokens that keep away from the border (``inside``) and, apart, over the rest
(``border``); 0 is exact, and about 2 is what unrelated features have. Phi is the whole network or
what comes out of one of its layers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.backends import cudnn

from vos.analysis.transformations import KINDS, Transformation
from vos.backbones import Backbone
from vos.backbones.layers.fields import FieldNorm, Fields
from vos.backbones.layers.scale_conv import ScaleNorm
from vos.backbones.token_centre import token_centre
from vos.errors import UsageError
from vos.progress import progress

ZOOMS = (1.0, 1.1, 1.5, 2.0, 2.5, 3.0)
ROTATIONS = tuple(float(degrees) for degrees in range(0, 360, 15))
NETWORK = "network"
EXACT = 1e-9  # squared relative errors below this are rounding
SYMMETRIC = 16  # frames are multiples of this: networks halve the grid up to four times


@dataclass(frozen=True)
class Measurement:
    """One number of the report.

    Attributes:
        layer: ``network`` or the name of a layer.
        kind: see :class:`Transformation`.
        amount: of the transformation.
        inside: error away from the border, mean over the images; None where nothing is left.
        border: error of the other tokens that come from inside the frame.
        stride: pixels per token of the layer.
    """

    layer: str
    kind: str
    amount: float
    inside: float | None
    border: float | None
    stride: float


@dataclass(frozen=True)
class Recorded:
    """What a layer gave: its output (B, C, h, w), and the fields that its channels are."""

    name: str
    output: Tensor
    fields: Fields | None


def default_transformations(backbone: Backbone, side: int) -> list[Transformation]:
    """Return zooms, turns by 15 degrees, a mirror image, shifts up to ``stride`` pixels, rolls."""
    shifts = sorted({*range(1, min(backbone.stride, 8) + 1), backbone.stride})
    rolls = sorted({1, backbone.stride, *(step for step in (16, side // 2) if step < side)})
    return [
        *(Transformation("zoom", amount) for amount in ZOOMS),
        *(Transformation("rotation", amount) for amount in ROTATIONS),
        Transformation("mirror", 1),
        *(Transformation("translation", amount) for amount in shifts),
        *(Transformation("roll", amount) for amount in rolls),
    ]


def frame_side(backbone: Backbone, side: int) -> int:
    """Return the largest side up to ``side`` whose token grid lies symmetrically about the centre.

    A network that centres token ``i`` at pixel ``i * stride`` needs one pixel more than a
    multiple of the stride, one that centres it in its cell needs a multiple.

    Raises:
        UsageError: no such side of at least four tokens.
    """
    period = math.lcm(backbone.stride, SYMMETRIC)
    extra = 0 if token_centre(backbone) > 0 or backbone.stride == 1 else 1
    whole = (side - extra) // period * period
    if whole < max(period, 4 * backbone.stride):
        raise UsageError(f"a side of {side} is too small for stride {backbone.stride}")
    return whole + extra


@torch.no_grad()
def measure(
    backbone: Backbone,
    images: Tensor,
    transformations: Iterable[Transformation] | None = None,
    *,
    margin: float | None = None,
    layers: int = 0,
) -> list[Measurement]:
    """Measure the equivariance errors of a backbone and its layers.

    Args:
        backbone: in evaluation mode.
        images: (B, 3, S, S) RGB in [0, 1]; S as :func:`frame_side` gives it.
        transformations: :func:`default_transformations` when None.
        margin: pixels from the border that count as border; a quarter of the side when None, and
            never more than a quarter of the side of the smaller frame.
        layers: levels of nested modules to report besides the network: 0 none, 1 its children.

    Raises:
        UsageError: images that are not square, or of another side.
    """
    side = images.shape[-1]
    if images.shape[-2] != side or frame_side(backbone, side) != side:
        raise UsageError(
            f"images must be squares of side {frame_side(backbone, side)} (or another side that "
            f"puts the tokens symmetrically), got {images.shape[-2]} x {side}"
        )
    margin = side / 4 if margin is None else margin
    names = layer_names(backbone, layers)
    plain = record(backbone, images, names)
    found = []
    chosen = list(transformations or default_transformations(backbone, side))
    for transformation in progress(chosen, description="equivariance", unit="transformation"):
        after = _side_after(backbone, side, transformation)
        moved = transformation.apply(images, 1.0, (after, after))
        for before, now in zip(plain, record(backbone, moved, names), strict=True):
            found.append(_compare(transformation, before, now, side, margin))
    return found


def layer_names(network: nn.Module, levels: int) -> list[str]:
    """Return the names of modules nested at most ``levels`` deep; lists count as no level."""
    names = []
    for name, child in network.named_children():
        if isinstance(child, nn.ModuleList):
            inside = [f"{name}.{index}" for index in range(len(child))] if levels else []
            deeper = [
                f"{name}.{index}.{below}"
                for index, item in enumerate(child)
                for below in (layer_names(item, levels - 1) if levels else [])
            ]
            names += [*inside, *deeper]
        elif levels:
            names += [name, *(f"{name}.{below}" for below in layer_names(child, levels - 1))]
    return names


@contextmanager
def _in_full_precision() -> Iterator[None]:
    """Convolve and multiply in float32: CUDA devices use tf32 else, and its rounding is no error
    of a network."""
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.allow_tf32 = before[1]


@torch.no_grad()
@_in_full_precision()
def record(backbone: Backbone, images: Tensor, names: Sequence[str]) -> list[Recorded]:
    """Run the network and keep what its layers and it itself give, in order of execution.

    Layers that give no feature map are left out; of maps at several scales the mean is kept, of
    maps of several sizes the finest.
    """
    kept: list[Recorded] = []
    handles = []
    wanted = set(names)
    for name, module in backbone.named_modules():
        if name in wanted:
            handles.append(module.register_forward_hook(_keeper(kept, name)))
    try:
        output = backbone(images)
    finally:
        for handle in handles:
            handle.remove()
    kept.append(Recorded(NETWORK, output, getattr(backbone, "fields", None)))
    return kept


def first_broken(
    backbone: Backbone, images: Tensor, transformation: Transformation, tolerance: float = EXACT
) -> str | None:
    """Return the name of the first layer, in order of execution, that breaks a symmetry.

    Args:
        backbone: in evaluation mode.
        images: (B, 3, S, S).
        transformation: a quarter turn, a mirror image or a roll.
        tolerance: errors up to this are rounding.

    Returns:
        None if every layer keeps it. Only layers without sub-layers are named; where these are
        all right but what is between them is not, ``network``.
    """
    leaves = _leaves(backbone)
    side = images.shape[-1]
    plain = record(backbone, images, leaves)
    moved = record(backbone, transformation.apply(images, 1.0, (side, side)), leaves)
    for before, now in zip(plain, moved, strict=True):
        error = _compare(transformation, before, now, side, 0.0)
        if error.inside is not None and not error.inside <= tolerance:
            return before.name
    return None


def _leaves(network: nn.Module) -> list[str]:
    """Names of the layers without sub-layers; norms over fields or scales count as one layer,
    since the norm inside sees its input in another shape."""
    whole = [
        name for name, item in network.named_modules() if isinstance(item, FieldNorm | ScaleNorm)
    ]
    inside = tuple(f"{name}." for name in whole)
    names = [name for name, item in network.named_modules() if name and not [*item.children()]]
    return [name for name in [*names, *whole] if not name.startswith(inside)]


def _keeper(kept: list[Recorded], name: str):  # type: ignore[no-untyped-def]
    def keep(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, list | tuple) and output and isinstance(output[0], Tensor):
            same = all(item.shape == output[0].shape for item in output)
            output = sum(output) / len(output) if same else output[0]
        if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[-2:]) > 1:
            again = sum(item.name.split(" ")[0] == name for item in kept)
            label = f"{name} ({again + 1})" if again else name
            kept.append(Recorded(label, output, _fields_of(module, output, kept)))

    return keep


def _fields_of(module: nn.Module, output: Tensor, kept: Sequence[Recorded]) -> Fields | None:
    """Return the fields of a layer's output: its own, its last part's, or those of its input."""
    stated = [getattr(item, "fields", None) for item in module.modules()]
    own = [item for item in stated if isinstance(item, Fields)]
    earlier = [item.fields for item in reversed(kept) if item.fields is not None][:1]
    for fields in (*own[:1], *reversed(own), *earlier):
        if fields.channels == output.shape[1]:
            return fields
    return None


def _side_after(backbone: Backbone, side: int, transformation: Transformation) -> int:
    if transformation.kind != "zoom":
        return side
    return side if transformation.amount == 1 else _symmetric(backbone, side, transformation.amount)


def _symmetric(backbone: Backbone, side: int, factor: float) -> int:
    period = math.lcm(backbone.stride, SYMMETRIC)
    extra = side % period
    return max(period, int(side / factor) // period * period) + extra


def _compare(
    transformation: Transformation, before: Recorded, now: Recorded, side: int, margin: float
) -> Measurement:
    """Measure the error of one layer under one transformation."""
    rows = before.output.shape[-2]
    stride = (side - 1) / (rows - 1) if side % 2 else side / rows
    size = (now.output.shape[-2], now.output.shape[-1])
    expected = _channels_moved(before, transformation).cpu().double()  # MPS has no float64
    expected = transformation.apply(expected, stride, size)
    if expected.shape != now.output.shape:
        return Measurement(
            before.name, transformation.kind, transformation.amount, None, None, stride
        )
    frame = (side, side)
    inside = transformation.inside(frame, size, stride, margin)
    covered = transformation.inside(frame, size, stride, 0.0)
    wrong = (expected - now.output.cpu()).square().sum(dim=1)
    right = expected.square().sum(dim=1)
    return Measurement(
        before.name,
        transformation.kind,
        transformation.amount,
        _ratio(wrong, right, inside),
        _ratio(wrong, right, covered & ~inside),
        stride,
    )


def _channels_moved(before: Recorded, transformation: Transformation) -> Tensor:
    fields = before.fields
    if fields is None:
        return before.output
    if transformation.kind == "rotation":
        return fields.turned(before.output, transformation.amount)
    if transformation.kind == "mirror" and fields.group.mirrors:
        return fields.acted_on(before.output, fields.group.rotations)
    return before.output


def _ratio(wrong: Tensor, right: Tensor, mask: Tensor) -> float | None:
    """Average the relative squared error on ``mask`` over the images."""
    if not mask.any():
        return None
    total = right[:, mask].sum(dim=1)
    return float((wrong[:, mask].sum(dim=1) / total.clamp(min=1e-30)).mean())


def summary(found: Sequence[Measurement]) -> dict[str, float]:
    """Return the largest error of the network for each symmetry that can be exact, and kind.

    Keys: ``quarter turns``, ``mirror``, ``shift by a token``, ``roll by a token``, ``zoom``,
    ``rotation``, ``translation``, ``roll``.
    """
    worst: dict[str, float] = {}

    def note(name: str, value: float) -> None:
        worst[name] = max(worst.get(name, 0.0), value)

    for item in found:
        transformation = Transformation(item.kind, item.amount)
        if item.layer != NETWORK or item.inside is None or transformation.is_identity:
            continue
        if transformation.turns is not None:
            note("quarter turns", item.inside)
        if item.kind in ("translation", "roll") and item.amount == item.stride:
            note(
                "shift by a token" if item.kind == "translation" else "roll by a token", item.inside
            )
        note(item.kind, item.inside)
    order = ["quarter turns", "mirror", "shift by a token", "roll by a token", *KINDS]
    return {name: worst[name] for name in dict.fromkeys(order) if name in worst}
