"""Blocks of group convolutions that rotation-equivariant networks are made of."""

from __future__ import annotations

from torch import Tensor, nn

from vos.backbones.base import Equivariance
from vos.backbones.layers.fields import FieldNorm, FieldReLU, Fields, GroupPool, GroupVector, Kind
from vos.backbones.layers.group_conv import GroupConv
from vos.backbones.layers.groups import Group
from vos.errors import UsageError

OUTPUTS: dict[str, Kind] = {"invariant": "trivial", "regular": "regular", "vector": "vector"}


def regular_fields(group: Group, channels: int) -> Fields:
    """As many regular fields as make ``channels`` channels.

    Raises:
        UsageError: no whole number of fields has so many channels.
    """
    if channels < group.order or channels % group.order:
        raise UsageError(
            f"{group.name} has {group.order} channels a field: a width must be a multiple of "
            f"{group.order}, got {channels}"
        )
    return Fields(group, channels // group.order, "regular")


def field_conv(before: Fields, after: Fields, size: int, border: str) -> nn.Sequential:
    """Build group convolution, batch norm, ReLU: a sequence that folds in evaluation."""
    return nn.Sequential(
        GroupConv(before, after, size, border=border), FieldNorm(after), FieldReLU(after)
    )


class FieldResidual(nn.Module):
    """G-equivariant residual block, where G is ``before.group``, as exact as :class:`GroupConv`.

    ``relu(norm(conv(relu(norm(conv(x))))) + shortcut(x))``, as in ResNet-18.

    Args:
        before: fields of the input.
        after: fields of the output; the shortcut is a 1 x 1 convolution where they differ.
        border: what is beyond the map.
    """

    def __init__(self, before: Fields, after: Fields, border: str = "zeros") -> None:
        super().__init__()
        self.fields = after
        last = GroupConv(after, after, 3, border=border)
        self.body = nn.Sequential(*field_conv(before, after, 3, border), last, FieldNorm(after))
        self.shortcut = (
            nn.Identity()
            if before == after
            else nn.Sequential(GroupConv(before, after, 1, border=border), FieldNorm(after))
        )
        self.relu = FieldReLU(after)

    @property
    def equivariance(self) -> Equivariance:
        """That of its convolutions."""
        exact = self.fields.group.on_grid
        return self.fields.equivariance(exact=exact, depends_on="the angle, as its convolutions do")

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, H, W) -> (B, C', H, W)."""
        return self.relu(self.body(features) + self.shortcut(features))


class FeatureHead(nn.Module):
    """G-equivariant last layer, where G is ``before.group``: invariant or regular features.

    A 1 x 1 group convolution; for ``invariant`` output, :class:`GroupPool` follows, so that a
    feature tells what is there and not how it is turned: what label propagation compares. For
    ``vector`` output it is :class:`GroupVector`, and a feature points where the object does.

    Args:
        before: regular fields, the input.
        features: fields of the output.
        output: ``invariant`` (one channel per field), ``regular`` (one per field and element) or
            ``vector`` (two per field, to the right and upwards).

    Raises:
        UsageError: another output, or no features.
    """

    def __init__(self, before: Fields, features: int, output: str) -> None:
        super().__init__()
        if output not in OUTPUTS:
            raise UsageError(f"unknown output {output!r}: known: {', '.join(OUTPUTS)}")
        if features < 1:
            raise UsageError(f"features must be at least 1, got {features}")
        regular = Fields(before.group, features, "regular")
        self.conv = GroupConv(before, regular, 1, bias=True)
        last = {"invariant": GroupPool, "regular": nn.Identity, "vector": GroupVector}
        self.pool = last[output](regular)
        self.fields = Fields(before.group, features, OUTPUTS[output])

    @property
    def equivariance(self) -> Equivariance:
        """As the output fields transform."""
        return self.fields.equivariance(exact=True, depends_on="nothing")

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, H, W) -> (B, fields.channels, H, W)."""
        return self.pool(self.conv(features))


def network_equivariance(fields: Fields, period: int, border: str) -> Equivariance:
    """Return the equivariance of a network whose coarsest grid has ``period`` pixels per token."""
    group = fields.group
    turns = "exact at any size for quarter turns"
    if group.mirrors:
        turns += " and mirror images"
    if not group.on_grid:
        turns += f"; turns by {360 // group.rotations} degrees between them are approximate"
    if border == "circular":
        shifts = f"cyclic shifts by multiples of {period} pixels are exact where sides are, too"
    else:
        shifts = f"shifts by multiples of {period} pixels are exact away from the border"
    if group.order == 1:
        group_name = f"translation by multiples of {period} pixels"
        return Equivariance(group_name, True, "the token grid shifts", shifts)
    return fields.equivariance(exact=group.on_grid, depends_on=f"the angle: {turns}; {shifts}")
