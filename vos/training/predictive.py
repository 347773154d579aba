"""One step of cross-view prediction: each view from the features of another one.

The baseline of contrastive multiview coding: the same encoders of the same views, and in place of
the comparison a linear decoder that must give every pixel of the other view.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from vos.backbones import Backbone
from vos.backbones.families.cmc import Multiview
from vos.backbones.view_encoders import ViewEncoder
from vos.errors import UsageError
from vos.objectives.contrastive import directions
from vos.objectives.prediction import prediction_loss
from vos.training.config import TrainConfig
from vos.training.draws import changed_images, step_generator
from vos.training.objective import Objective


def _decoder(encoder: ViewEncoder, channels: int) -> nn.Conv2d:
    """Return what makes all pixels of a view of each token of the last map; no token counts yet."""
    decoder = nn.Conv2d(encoder.widths[-1], channels * encoder.strides[-1] ** 2, kernel_size=1)
    nn.init.zeros_(decoder.weight)
    return decoder


class PredictiveModel(Objective):
    """A multiview backbone, and a decoder for each direction of ``objective.contrastive.graph``."""

    shown = "explained"

    def __init__(self, backbone: Backbone, config: TrainConfig) -> None:
        super().__init__()
        if not isinstance(backbone, Multiview) or len(backbone.views) < 2:
            raise UsageError(
                "objective.name=predictive needs a backbone of at least two views, such as "
                f"cmc-alexnet; {config.model.backbone} is none"
            )
        self.backbone: Multiview = backbone
        self.config = config
        self.directions = directions(config.objective.contrastive.graph, len(backbone.views))
        self.frames = 2 if any(view.neighbour for view in backbone.views) else 1
        self.decoders = nn.ModuleList(
            _decoder(cast("ViewEncoder", backbone.encoders[one]), backbone.views[other].channels)
            for one, other in self.directions
        )

    def own_parameters(self) -> Iterable[nn.Parameter]:
        return self.decoders.parameters()

    def prepare(self, crops: Tensor, step: int, numbers: range) -> tuple[Tensor]:
        """Return images (frames, B, 3, H, W) in [0, 1]."""
        return (changed_images(self.config, crops, step_generator(self.config, step), numbers),)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Loss and measures of B scenes.

        Returns:
            scalars ``loss`` (the sum over the directions) and ``explained``, the share of the
            variance of the views that is predicted, at most 1, mean over the directions.
        """
        seen = [images[int(view.neighbour)] for view in self.backbone.views]
        losses, explained = [], []
        for (one, other), decoder in zip(self.directions, self.decoders, strict=True):
            view = self.backbone.views[other].compute(seen[other].float())
            predicted = decoder(self.backbone.maps(one, seen[one], self.backbone.last))
            losses.append(prediction_loss(predicted.float(), view))
            spread = view.var(dim=(0, 2, 3), correction=0).mean()
            explained.append(1 - losses[-1].detach() / spread.clamp_min(1e-12))
        return {"loss": torch.stack(losses).sum(), "explained": torch.stack(explained).mean()}
