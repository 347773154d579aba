"""Fields: how the channels of a feature map answer when the picture is turned."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from vos.backbones.base import Equivariance
from vos.backbones.layers.groups import Group, Matrix
from vos.errors import UsageError

Kind = Literal["trivial", "regular", "vector"]


@dataclass(frozen=True)
class Fields:
    """``count`` fields of one kind, field after field in the channels.

    A *trivial* field is one channel that is carried along by a turn (``f(g^-1 x)``). A *regular*
    field has a channel for each element of the group; a turn carries them along and permutes
    them (``F[h](x)`` becomes ``F[g^-1 h](g^-1 x)``). A *vector* field has two channels, to the
    right and upwards; a turn carries them along and turns them (``M_g v(g^-1 x)``).
    """

    group: Group
    count: int
    kind: Kind = "trivial"

    @property
    def width(self) -> int:
        """Channels of one field."""
        return {"trivial": 1, "regular": self.group.order, "vector": 2}[self.kind]

    @property
    def channels(self) -> int:
        """Channels of all fields together."""
        return self.count * self.width

    def check_pointwise(self, layer: str) -> None:
        """Raise UsageError for vectors: what treats channels one by one does not turn with them."""
        if self.kind == "vector":
            raise UsageError(f"{layer} takes trivial and regular fields, not vector fields")

    def acted_on(self, features: Tensor, element: int) -> Tensor:
        """Act with ``element`` on the channels of (B, C, ...), their places apart."""
        if self.kind == "trivial":
            return features
        if self.kind == "vector":
            return self._transformed(features, self.group.matrix(element))
        split = features.unflatten(1, (self.count, self.width))
        return split[:, :, self.group.moved(element)].flatten(1, 2)

    def act(self, features: Tensor, element: int) -> Tensor:
        """Act with an element that takes pixels to pixels on (B, C, H, W)."""
        return self.group.act_on_grid(self.acted_on(features, element), element)

    def turned(self, features: Tensor, degrees: float) -> Tensor:
        """Turn the channels by any angle, their places apart.

        Regular fields are interpolated linearly between two elements of the group, which is exact
        at them.
        """
        if self.kind == "vector":
            cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            return self._transformed(features, ((cosine, -sine), (sine, cosine)))
        steps = degrees / 360 * self.group.rotations
        below, share = math.floor(steps), steps - math.floor(steps)
        first = self.acted_on(features, below % self.group.rotations)
        if share < 1e-9:
            return first
        second = self.acted_on(features, (below + 1) % self.group.rotations)
        return torch.lerp(first, second, share)

    def _transformed(self, features: Tensor, matrix: Matrix) -> Tensor:
        """Multiply each vector of (B, 2 count, ...) by a matrix."""
        vectors = features.unflatten(1, (self.count, 2))
        return torch.einsum("ij,bfj...->bfi...", features.new_tensor(matrix), vectors).flatten(1, 2)

    def equivariance(self, *, exact: bool, depends_on: str) -> Equivariance:
        """Return the :class:`Equivariance` of a layer whose output these fields are."""
        return Equivariance(
            group=f"rotation {self.group.name}" if not self.group.mirrors else self._dihedral,
            exact=exact,
            output={
                "trivial": "carried along",
                "regular": "regular fields: carried along and permuted",
                "vector": "vector fields: carried along and turned",
            }[self.kind],
            depends_on=depends_on,
        )

    @property
    def _dihedral(self) -> str:
        return f"rotation and reflection {self.group.name}"


class FieldNorm(nn.Module):
    """G-equivariant batch norm, where G is ``fields.group``, exact for every group.

    A field has one mean and one deviation, whichever way it is turned.

    Args:
        fields: of input and output.
    """

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        fields.check_pointwise("batch norm")
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
        for name, value in self.norm.state_dict().items():
            wide = value.repeat_interleave(self.fields.width) if value.ndim else value
            plain.state_dict()[name].copy_(wide)
        return plain.train(self.training).to(self.norm.weight)


class GroupPool(nn.Module):
    """G-equivariant pooling over the group, where G is ``fields.group``, exact for every group.

    Regular fields become trivial ones, the largest value of each: what follows does not see how an
    object is turned.

    Args:
        fields: regular fields, the input.
    """

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        self.fields = Fields(fields.group, fields.count)

    @property
    def equivariance(self) -> Equivariance:
        """Trivial fields."""
        return self.fields.equivariance(exact=True, depends_on="nothing")

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, fields * order, H, W) -> (B, fields, H, W)."""
        return features.unflatten(1, (self.fields.count, -1)).amax(dim=2)


class GroupVector(nn.Module):
    """G-equivariant map of regular to vector fields, where G is ``fields.group``, exact for each.

    The mean over the group of the directions that its elements take "to the right" to, each times
    the channel of the element: a vector that turns with the object.

    Args:
        fields: regular fields, the input.
    """

    directions: Tensor

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        self.fields = Fields(fields.group, fields.count, "vector")
        group = fields.group
        matrices = torch.tensor([group.matrix(element) for element in range(group.order)])
        # The mean over the group; (order, 2), no part of the weights.
        self.register_buffer("directions", matrices[:, :, 0] / group.order, persistent=False)

    @property
    def equivariance(self) -> Equivariance:
        """Vector fields."""
        return self.fields.equivariance(exact=True, depends_on="nothing")

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, fields * order, H, W) -> (B, 2 fields, H, W)."""
        split = features.unflatten(1, (self.fields.count, -1))
        return torch.einsum("bfgyx,gi->bfiyx", split, self.directions).flatten(1, 2)


class FieldReLU(nn.ReLU):
    """G-equivariant ReLU, where G is ``fields.group``, exact for every group.

    A point-wise function commutes with a permutation of channels, and with nothing more general:
    it is for regular and trivial fields alone.

    Args:
        fields: of input and output.
    """

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        fields.check_pointwise("ReLU")
        self.fields = fields

    @property
    def equivariance(self) -> Equivariance:
        """As the input fields transform."""
        return self.fields.equivariance(exact=True, depends_on="nothing")
