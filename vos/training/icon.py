"""One step of ICON: draw, warp, run the network, un-warp, compare."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vos.backbones import Backbone
from vos.backbones.layers import PixelCentring
from vos.backbones.layers.colour import ColourDescriptor
from vos.errors import UsageError
from vos.objectives import (
    RoundTrip,
    Scale,
    Sphere,
    all_ways_loss,
    cycle_accuracy,
    inverse_consistency_loss,
    random_walk_loss,
    tokens,
)
from vos.training.augmentation import Draw, draw, unwarp, unwarp_validity, warp
from vos.training.config import TrainConfig
from vos.training.draws import step_generator
from vos.training.objective import Objective
from vos.training.photometric import apply_photometric, draw_photometric

DRAWS = 4  # A on the way there, B there, A on the way back, B on the way back


class IconModel(Objective):
    """A backbone and the sphere that the objective puts its features on."""

    shown = "cycle_accuracy"

    def __init__(self, backbone: Backbone, config: TrainConfig) -> None:
        super().__init__()
        self.backbone = backbone
        on = Sphere if config.model.sphere else Scale
        self.sphere = on(config.model.radius)
        self.config = config
        colour = config.objective.colour
        self.describe_colour = ColourDescriptor(backbone.stride) if colour else None
        centred = any(isinstance(module, PixelCentring) for module in backbone.modules())
        if config.augmentation.mode == "center" and not centred:
            raise UsageError(
                f"augmentation.mode=center needs a backbone that centres, such as "
                f"unet-short-64,center=true; {config.model.backbone} does not"
            )

    def own_parameters(self) -> Iterable[nn.Parameter]:
        return self.sphere.parameters()

    def prepare(
        self, crops: Tensor, step: int, numbers: range
    ) -> tuple[Tensor, Draw, Tensor | None]:
        return *StepDraws.of(self.config, step).augment(crops, numbers), self._colours(crops)

    def forward(
        self, images: Tensor, drawn: Draw, colours: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Loss and measures of the draws of B pairs.

        Args:
            images: (4 B, 3, H, W) warped images: A, B, A, B, each under draws of its own.
            drawn: the 4 B draws.
            colours: (2 B, C, h, w), what colours tell of A and of B, if they are compared, too.

        Returns:
            scalars ``loss`` (to be minimised), ``cycle_accuracy`` (share of tokens that return
            to within one token) and ``radius``.
        """
        size = (images.shape[-2], images.shape[-1])
        if self.config.augmentation.together:
            features = self.backbone(images)
        else:
            features = torch.cat([self.backbone(each) for each in images.chunk(DRAWS)])
        with torch.autocast(features.device.type, enabled=False):
            features = self._back_on_the_sphere(features.float(), drawn, size)
            grid = (features.shape[-2], features.shape[-1])
            if colours is not None:  # A, B, A, B
                beside = self.sphere.radius * colours.repeat(DRAWS // 2, 1, 1, 1)
                features = torch.cat([features, beside], dim=1)
            trip = self._round_trip(features, drawn, size)
            return {
                "loss": self._loss(trip),
                "cycle_accuracy": cycle_accuracy(trip, grid=grid, distance=1),
                "radius": self.sphere.radius.detach(),
            }

    @torch.no_grad()
    def _colours(self, crops: Tensor) -> Tensor | None:
        """Return the descriptor of the colours of (2, B, 3, H, W) uint8 crops, as they are."""
        if self.describe_colour is None:
            return None
        return self.config.objective.colour * self.describe_colour(
            crops.flatten(0, 1).float() / 255
        )

    def _back_on_the_sphere(self, features: Tensor, drawn: Draw, size: tuple[int, int]) -> Tensor:
        """Return features of the sphere's radius where they were before the warp."""
        if self.config.augmentation.border == "zeros":
            # As published: the sphere first, so that what is beyond the frame remains zero.
            return unwarp(self.sphere(features), drawn, size, "zeros")
        return self.sphere(unwarp(features, drawn, size))

    def _round_trip(self, features: Tensor, drawn: Draw, size: tuple[int, int]) -> RoundTrip:
        """Return tokens of the B pairs, without those that a draw of a frame pushed outside."""
        trip = RoundTrip(*tokens(features).chunk(DRAWS))
        if not self.config.augmentation.validity:
            return trip
        inside = unwarp_validity(features.shape, drawn, size).flatten(1)  # (4 B, N)
        a_there, b_there, a_back, b_back = inside.chunk(DRAWS)
        return trip._replace(a_valid=a_there & a_back, b_valid=b_there & b_back)

    def _loss(self, trip: RoundTrip) -> Tensor:
        objective = self.config.objective
        loss = trip.a_row.new_zeros(())
        if objective.inverse_consistency:
            trips = pooled(trip, objective.pool)
            measure = all_ways_loss if objective.symmetric else inverse_consistency_loss
            loss = loss + objective.inverse_consistency * measure(trips, floor=objective.floor)
        if objective.random_walk:
            clip = torch.stack([trip.a_row, trip.b_row, trip.a_col, trip.b_col], dim=1)
            loss = loss + objective.random_walk * random_walk_loss(
                clip, temperature=objective.temperature, edge_dropout=objective.edge_dropout
            )
        return loss


def pooled(trip: RoundTrip, pairs: int) -> RoundTrip:
    """Return the tokens of each ``pairs`` neighbours in the batch as one sample.

    ``(B, N, C)`` becomes ``(B / pairs, pairs N, C)``.

    Raises:
        UsageError: ``pairs`` does not divide the batch.
    """
    batch = len(trip.a_row)
    if batch % pairs:
        raise UsageError(
            f"objective.pool={pairs} does not divide the {batch} pairs that a process "
            "holds in one part of a step: change batch, objective.pool or the number of processes"
        )

    def joined(each: Tensor) -> Tensor:
        return each.reshape(batch // pairs, -1, *each.shape[2:])

    a_row, b_row, a_col, b_col = (joined(each) for each in trip.features())
    a_valid, b_valid = (None if each is None else joined(each) for each in trip[4:])
    return RoundTrip(a_row, b_row, a_col, b_col, a_valid, b_valid)


@dataclass(frozen=True)
class StepDraws:
    """The random numbers of one step for the whole global batch: the same on every process."""

    warps: list[Draw]
    photometric: list[Tensor]
    border: str

    @classmethod
    def of(cls, config: TrainConfig, step: int) -> StepDraws:
        """Draw them from seed and step."""
        generator = step_generator(config, step)
        augmentation, side = config.augmentation, config.crop.size
        warps, photometric = [], []
        for _ in range(DRAWS):
            warps.append(
                draw(
                    augmentation.mode,
                    config.batch,
                    (side, side),
                    generator,
                    strength=augmentation.strength,
                )
            )
            photometric.append(draw_photometric(augmentation.photometric, config.batch, generator))
        return cls(warps, photometric, augmentation.border)

    def augment(self, crops: Tensor, numbers: range) -> tuple[Tensor, Draw]:
        """Images and draws for :class:`IconModel`.

        Args:
            crops: (2, B, 3, H, W) uint8, the pairs ``numbers`` of the global batch.
            numbers: which of the draws of the step belong to them.
        """
        part = slice(numbers.start, numbers.stop)
        device = crops.device
        drawn = Draw(
            torch.cat([item.matrix[part] for item in self.warps]),
            torch.cat([item.shift[part] for item in self.warps]),
        ).to(device)
        colours = torch.cat([item[part] for item in self.photometric]).to(device)
        images = torch.cat([crops[index % 2] for index in range(DRAWS)]).float() / 255
        return warp(apply_photometric(images, colours), drawn, self.border), drawn
