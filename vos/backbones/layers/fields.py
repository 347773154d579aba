"""Fields: how the channels of a feature map answer when the picture is turned."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vos.backbones.base import Equivariance
from vos.backbones.layers.groups import Group


@dataclass(frozen=True)
class Fields:
    """``count`` fields of one kind, field after field in the channels.

    A *trivial* field is one channel that is carried along by a turn (``f(g^-1 x)``). A *regular*
    field has a channel for each element of the group; a turn carries them along and permutes
    them (``F[h](x)`` becomes ``F[g^-1 h](g^-1 x)``).
    """

    group: Group
    count: int
    regular: bool

    @property
    def channels(self) -> int:
        """Channels of all fields together."""
        return self.count * (self.group.order if self.regular else 1)

    def permuted(self, features: Tensor, element: int) -> Tensor:
        """Act with ``element`` on the channels of (B, C, ...), their places apart."""
        if not self.regular:
            return features
        split = features.unflatten(1, (self.count, self.group.order))
        return split[:, :, self.group.moved(element)].flatten(1, 2)

    def act(self, features: Tensor, element: int) -> Tensor:
        """Act with an element that takes pixels to pixels on (B, C, H, W)."""
        return self.group.act_on_grid(self.permuted(features, element), element)

    def turned(self, features: Tensor, degrees: float) -> Tensor:
        """Turn the channels by any angle, their places apart.

        Between two elements of the group it is interpolated linearly, which is exact at them.
        """
        steps = degrees / 360 * self.group.rotations
        below, share = math.floor(steps), steps - math.floor(steps)
        first = self.permuted(features, below % self.group.rotations)
        if share < 1e-9:
            return first
        second = self.permuted(features, (below + 1) % self.group.rotations)
        return torch.lerp(first, second, share)

    def equivariance(self, *, exact: bool, depends_on: str) -> Equivariance:
        """Return the :class:`Equivariance` of a layer whose output these fields are."""
        kind = "regular fields: carried along and permuted" if self.regular else "carried along"
        return Equivariance(
            group=f"rotation {self.group.name}" if not self.group.mirrors else self._dihedral,
            exact=exact,
            output=kind,
            depends_on=depends_on,
        )

    @property
    def _dihedral(self) -> str:
        return f"rotation and reflection {self.group.name}"


class FieldNorm(nn.Module):
    """G-equivariant batch norm, exact for every group: a field has one mean and one deviation.

    Args:
        fields: of input and output.
    """

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        self.fields = fields
        self.norm = nn.BatchNorm2d(fields.count)

    @property
    def equivariance(self) -> Equivariance:
        """As the input fields transform."""
        return self.fields.equivariance(exact=True, depends_on="nothing")

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, H, W) -> (B, C, H, W)."""
        together = features.unflatten(1, (self.fields.count, -1)).flatten(2, 3)
        return self.norm(together).reshape(features.shape)

    def as_plain(self) -> nn.BatchNorm2d:
        """Return the batch norm over single channels that does the same in evaluation."""
        plain = nn.BatchNorm2d(self.fields.channels, eps=self.norm.eps)
        copies = self.fields.channels // self.fields.count
        for name, value in self.norm.state_dict().items():
            wide = value.repeat_interleave(copies) if value.ndim else value
            plain.state_dict()[name].copy_(wide)
        return plain.train(self.training).to(self.norm.weight)


class GroupPool(nn.Module):
    """G-equivariant pooling of regular fields to trivial ones: the largest value over the group.

    It is exact for every group, and what follows it does not see how an object is turned.

    Args:
        fields: regular fields, the input.
    """

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        self.fields = Fields(fields.group, fields.count, regular=False)

    @property
    def equivariance(self) -> Equivariance:
        """Trivial fields."""
        return self.fields.equivariance(exact=True, depends_on="nothing")

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, fields * order, H, W) -> (B, fields, H, W)."""
        return features.unflatten(1, (self.fields.count, -1)).amax(dim=2)


class FieldReLU(nn.ReLU):
    """G-equivariant ReLU, exact for every group, on regular and trivial fields alone.

    A point-wise function commutes with a permutation of channels, and with nothing more general.
    """

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        self.fields = fields

    @property
    def equivariance(self) -> Equivariance:
        """As the input fields transform."""
        return self.fields.equivariance(exact=True, depends_on="nothing")
