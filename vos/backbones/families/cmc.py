"""Contrastive multiview coding: one encoder per view, their maps side by side.

Tian, Krishnan, Isola, "Contrastive Multiview Coding", 2019, https://arxiv.org/abs/1906.05849.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vos.backbones.base import Backbone, Equivariance
from vos.backbones.registry import build, family
from vos.backbones.view_encoders import (
    AlexNetHalf,
    AnyEncoder,
    ResNetHalf,
    ViewEncoder,
    common_stride,
)
from vos.backbones.views import parse_views
from vos.errors import UsageError, near_names

NORMALISATIONS = ("published", "data")
OUTPUTS = ("layer", "head")


class Projection(nn.Module):
    """From a map to the space where views are compared, ``dim`` channels of length 1.

    Made of convolutions, so that it works on a pooled map, ``(B, dim, 1, 1)``, and with
    ``pool`` 1 at each token too: the dense form of the same critic.

    Args:
        channels: of the map.
        dim: of the space.
        hidden: width of two hidden layers with batch norm; 0 for a linear projection.
        pool: the map is averaged to this many rows and columns first.
    """

    def __init__(self, channels: int, dim: int, hidden: int, pool: int) -> None:
        super().__init__()
        self.pool = pool
        if hidden:
            self.layers = nn.Sequential(
                nn.Conv2d(channels, hidden, pool, bias=False),
                nn.BatchNorm2d(hidden),
                nn.ReLU(inplace=True),
                nn.Conv2d(hidden, hidden, 1, bias=False),
                nn.BatchNorm2d(hidden),
                nn.ReLU(inplace=True),
                nn.Conv2d(hidden, dim, 1),
            )
        else:
            self.layers = nn.Sequential(nn.Conv2d(channels, dim, pool))

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, h, w) -> one vector per image, (B, dim)."""
        pooled = functional.adaptive_avg_pool2d(features, self.pool)
        return functional.normalize(self.layers(pooled)[:, :, 0, 0], dim=1)

    def at_tokens(self, features: Tensor) -> Tensor:
        """Map (B, C, h, w) -> one vector per token, (B, dim, h, w).

        Raises:
            UsageError: the projection is made for pooled maps of several cells.
        """
        if self.pool != 1:
            raise UsageError(
                f"a projection of {self.pool} x {self.pool} cells has no tokens: pool=1"
            )
        return functional.normalize(self.layers(features), dim=1)


class Multiview(Backbone):
    """Encoders of several views of an image, whose maps are concatenated.

    Args:
        views: names joined with ``+``, see :mod:`vos.backbones.views`.
        encoders: one per view, of the same strides.
        layer: whose map is the output, 1 to the number of layers of the encoders.
        use: names of the views whose maps are the output, joined with ``+``, or ``all``.
        output: ``"layer"`` for maps, ``"head"`` for the projection of each token.
        dim, hidden, pool: of the projection of the last layer, see :class:`Projection`.
        normalisation: ``"published"`` scales views by constants; ``"data"`` also takes the mean
            and deviation of the training data out (running figures of the batches).

    Raises:
        UsageError: a choice that makes no sense.
    """

    def __init__(
        self,
        views: str,
        encoders: Sequence[ViewEncoder],
        *,
        layer: int,
        use: str,
        output: str,
        dim: int,
        hidden: int,
        pool: int,
        normalisation: str,
    ) -> None:
        super().__init__()
        if normalisation not in NORMALISATIONS:
            raise UsageError(
                f"unknown normalisation {normalisation!r}: "
                f"{near_names(normalisation, NORMALISATIONS)}"
            )
        if dim < 1 or hidden < 0 or pool < 1:
            raise UsageError("dim and pool must be at least 1, hidden at least 0")
        if output not in OUTPUTS:
            raise UsageError(f"unknown output {output!r}: known: {', '.join(OUTPUTS)}")
        if output == "head" and pool != 1:
            raise UsageError("output=head needs a projection of single tokens: pool=1")
        self.views = parse_views(views)
        self.encoders = nn.ModuleList(encoders)
        self.scales = nn.ModuleList(
            nn.BatchNorm2d(view.channels, affine=False)
            if normalisation == "data"
            else nn.Identity()
            for view in self.views
        )
        self.heads = nn.ModuleList(
            Projection(encoder.widths[-1], dim, hidden, pool) for encoder in encoders
        )
        self.layer, self.output, self.dim = layer, output, dim
        self.last = len(encoders[0].strides)
        self.used = self._indices(use)
        self.stride = common_stride(encoders, self.last if output == "head" else layer)
        widths = [dim if output == "head" else encoders[i].widths[layer - 1] for i in self.used]
        self.channels = sum(widths)
        self.equivariance = Equivariance(
            group=f"translation by multiples of {self.stride} pixels",
            exact=True,
            output="the token grid shifts",
            depends_on="a receptive field inside the frame: padding shows at the border",
        )

    def _indices(self, names: str) -> list[int]:
        known = [view.name for view in self.views]
        if names == "all":
            return list(range(len(known)))
        for name in names.split("+"):
            if name not in known:
                raise UsageError(f"this network has no view {name!r}: known: {', '.join(known)}")
        return [known.index(name) for name in names.split("+")]

    def forward(self, images: Tensor) -> Tensor:
        if self.output == "head":
            return torch.cat([self.tokens(index, images) for index in self.used], dim=1)
        return torch.cat([self.maps(index, images, self.layer) for index in self.used], dim=1)

    def maps(self, index: int, images: Tensor, layer: int) -> Tensor:
        """Map of one view, (B, 3, H, W) RGB -> (B, C, h, w)."""
        view = self.scales[index](self.views[index].compute(images))
        # Channels last: a fifth to a third faster on processors.
        return self.encoders[index](view.contiguous(memory_format=torch.channels_last), layer)

    def embed(self, index: int, images: Tensor) -> Tensor:
        """Return the representation z of one view, (B, 3, H, W) RGB -> (B, dim), of length 1."""
        return self.heads[index](self.maps(index, images, self.last))

    def look(self, index: int, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map of the chosen layer and z of one view, in one pass."""
        features = self.maps(index, images, self.layer)
        return features, self.heads[index](
            self.encoders[index](features, self.last, done=self.layer)
        )

    def tokens(self, index: int, images: Tensor) -> Tensor:
        """Return the representation of each token of a view, (B, 3, H, W) RGB -> (B, dim, h, w)."""
        head = self.heads[index]
        assert isinstance(head, Projection)
        return head.at_tokens(self.maps(index, images, self.last))


@family("cmc-alexnet", "half an AlexNet a view (L and ab), maps side by side, random weights")
def cmc_alexnet(
    views: str = "L+ab",
    layer: int = 5,
    stride: int = 8,
    width: float = 1.0,
    stem: int = 11,
    stem_stride: int = 4,
    dim: int = 128,
    hidden: int = 2048,
    pool: int = 6,
    use: str = "all",
    output: str = "layer",
    normalisation: str = "published",
) -> Multiview:
    """Build AlexNet halves; layer 5 has 128 channels per view, times ``width``."""
    encoders = [
        AlexNetHalf(view.channels, stride=stride, width=width, stem=stem, stem_stride=stem_stride)
        for view in parse_views(views)
    ]
    return Multiview(
        views,
        encoders,
        layer=layer,
        use=use,
        output=output,
        dim=dim,
        hidden=hidden,
        pool=pool,
        normalisation=normalisation,
    )


def _resnets(
    depth: int, views: str, stride: int, width: float, stem: int, stem_stride: int
) -> list[ResNetHalf]:
    return [
        ResNetHalf(
            view.channels,
            depth=depth,
            stride=stride,
            width=width,
            stem=stem,
            stem_stride=stem_stride,
        )
        for view in parse_views(views)
    ]


def _resnet_builder(depth: int) -> Callable[..., Multiview]:
    """Layer 3 has 256 (depth 18) or 1024 (depth 50) channels per view, times ``width``."""

    def build(
        views: str = "L+ab",
        layer: int = 3,
        stride: int = 8,
        width: float = 0.5,
        stem: int = 7,
        stem_stride: int = 2,
        dim: int = 128,
        hidden: int = 0,
        pool: int = 1,
        use: str = "all",
        output: str = "layer",
        normalisation: str = "published",
    ) -> Multiview:
        return Multiview(
            views,
            _resnets(depth, views, stride, width, stem, stem_stride),
            layer=layer,
            use=use,
            output=output,
            dim=dim,
            hidden=hidden,
            pool=pool,
            normalisation=normalisation,
        )

    return build


cmc_resnet18 = family(
    "cmc-resnet18", "a ResNet-18 of half the width a view (L and ab), random weights"
)(_resnet_builder(18))
cmc_resnet50 = family(
    "cmc-resnet50", "a ResNet-50 of half the width a view (L and ab), random weights"
)(_resnet_builder(50))


@family("cmc", "any family as the encoder of each view: cmc,encoder=unet-short-64;stride=4")
def cmc(
    encoder: str = "resnet18",
    views: str = "L+ab",
    dim: int = 128,
    hidden: int = 0,
    pool: int = 1,
    use: str = "all",
    output: str = "layer",
    normalisation: str = "published",
) -> Multiview:
    """Build from ``encoder``, a family and its options, separated by semicolons."""
    name, *pairs = encoder.split(";")
    options = dict(pair.partition("=")[::2] for pair in pairs)
    encoders = []
    for view in parse_views(views):
        seed = int(torch.randint(2**31, (), device="cpu"))  # another start for each view
        encoders.append(AnyEncoder(view.channels, build(name, seed=seed, **options)))
    return Multiview(
        views,
        encoders,
        layer=1,
        use=use,
        output=output,
        dim=dim,
        hidden=hidden,
        pool=pool,
        normalisation=normalisation,
    )
