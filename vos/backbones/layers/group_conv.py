"""Group convolutions: one filter, applied in every pose of a finite group of the plane.

"Group Equivariant Convolutional Networks" (Cohen and Welling, ICML 2016); filters for angles
between the axes of the grid as in "General E(2)-Equivariant Steerable CNNs" (Weiler and Cesa,
NeurIPS 2019).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from vos.backbones.base import Equivariance
from vos.backbones.layers.expanded import ExpandedFilter
from vos.backbones.layers.fields import Fields
from vos.backbones.layers.filter_bases import filter_basis
from vos.backbones.layers.padding import check_border, pad_border
from vos.errors import UsageError


class GroupConv(ExpandedFilter):
    """G-equivariant convolution, where G is the group of its fields (``fields_in.group``).

    Trivial to regular fields is called lifting; regular to regular is the group convolution;
    regular to trivial sums over the group; trivial to trivial allows only filters that look the
    same in every pose. It is exact where G takes pixels to pixels, for any size of the map; the
    turns by 45 degrees of C8 are approximate.

    Args:
        fields_in: of the input.
        fields_out: of the output; of the same group.
        size: of the filters, odd.
        bias: one per field.
        border: what is beyond the map: ``zeros``, ``replicate`` or ``circular``.

    Raises:
        UsageError: an even size, two groups, vector fields, an unknown border.
    """

    basis: Tensor
    poses: Tensor

    def __init__(
        self,
        fields_in: Fields,
        fields_out: Fields,
        size: int = 3,
        *,
        bias: bool = False,
        border: str = "zeros",
    ) -> None:
        super().__init__()
        if fields_in.group != fields_out.group:
            names = f"{fields_in.group.name} and {fields_out.group.name}"
            raise UsageError(f"a group convolution needs one group, got {names}")
        for fields in (fields_in, fields_out):
            fields.check_pointwise("a group convolution")
        if size % 2 == 0:
            raise UsageError(f"a group convolution needs an odd size, got {size}")
        check_border(border)
        self.fields_in, self.fields, self.size, self.border = fields_in, fields_out, size, border
        group = fields_in.group
        basis = filter_basis(group, size)
        # The device that new tensors are on now, such as "meta" for counting only.
        self.register_buffer("basis", basis.to(torch.empty(0).device), persistent=False)
        poses = torch.tensor([group.moved(element) for element in range(group.order)])
        self.register_buffer("poses", poses, persistent=False)
        slots = group.order if fields_in.kind == fields_out.kind == "regular" else 1
        shape = (fields_out.count, fields_in.count, slots, basis.shape[1])
        # He initialisation of the filters that come out.
        deviation = math.sqrt(2 / (fields_in.channels * basis.shape[1]))
        self.weight = nn.Parameter(torch.randn(shape) * deviation)
        self.bias = nn.Parameter(torch.zeros(fields_out.count)) if bias else None

    @property
    def equivariance(self) -> Equivariance:
        """As the output fields transform."""
        exact = self.fields.group.on_grid
        condition = "nothing: any size of the map" if exact else (
            "the angle: exact for quarter turns; between them filters are sampled anew"
        )  # fmt: skip
        return self.fields.equivariance(exact=exact, depends_on=condition)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, fields_in.channels, H, W) -> (B, fields_out.channels, H, W)."""
        bias = None if self.bias is None else _repeated(self.bias, self.fields)
        reach = self.size // 2
        if self.border == "zeros":
            return functional.conv2d(features, self.filters(), bias, padding=reach)
        return functional.conv2d(
            pad_border(features, reach, reach, self.border), self.filters(), bias
        )

    def expand(self) -> Tensor:
        """Return (fields_out.channels, fields_in.channels, size, size) filters of all poses."""
        regular_in, regular_out = self.fields_in.kind == "regular", self.fields.kind == "regular"
        weight, basis = self.weight, self.basis
        if regular_in and regular_out:
            # Filter of output pose g for input pose k: psi[g^-1 k](g^-1 x).
            filters = torch.einsum("oigkb,gbyx->ogikyx", weight[:, :, self.poses], basis)
        elif regular_out:
            filters = torch.einsum("oib,gbyx->ogiyx", weight[:, :, 0], basis)
        elif regular_in:
            filters = torch.einsum("oib,gbyx->oigyx", weight[:, :, 0], basis)
        else:
            filters = torch.einsum("oib,byx->oiyx", weight[:, :, 0], basis.mean(dim=0))
        return filters.reshape(
            self.fields.channels, self.fields_in.channels, self.size, self.size
        ).contiguous()

    def as_plain(self) -> nn.Conv2d:
        """Return the plain convolution that does the same, its filters filled in."""
        plain = nn.Conv2d(
            self.fields_in.channels,
            self.fields.channels,
            self.size,
            padding=self.size // 2,
            padding_mode=self.border,  # type: ignore[arg-type]
            bias=self.bias is not None,
        )
        with torch.no_grad():
            plain.weight.copy_(self.expand())
            if plain.bias is not None and self.bias is not None:
                plain.bias.copy_(_repeated(self.bias, self.fields))
        return plain.train(self.training).to(self.weight)


def _repeated(bias: Tensor, fields: Fields) -> Tensor:
    """Repeat one value per field as one value per channel."""
    return bias.repeat_interleave(fields.width)
