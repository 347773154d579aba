"""One step of ICON: draw, warp, run the network, un-warp, compare."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vos.backbones import Backbone
from vos.backbones.layers import PixelCentring
from vos.errors import UsageError
from vos.objectives import random_walk_loss
from vos.objectives.icon import Sphere, cycle_accuracy, inverse_consistency, tokens
from vos.training.augmentation import Draw, draw, unwarp, unwarp_validity, warp
from vos.training.config import TrainConfig
from vos.training.objective import Objective
from vos.training.photometric import apply_photometric, draw_photometric

Parts = tuple[Tensor, Tensor, Tensor, Tensor]

DRAWS = 4  # A on the way there, B there, A on the way back, B on the way back


class IconModel(Objective):
    """A backbone and the sphere that the objective puts its features on."""

    shown = "cycle_accuracy"

    def __init__(self, backbone: Backbone, config: TrainConfig) -> None:
        super().__init__()
        self.backbone = backbone
        self.sphere = Sphere(config.model.radius)
        self.config = config
        centred = any(isinstance(module, PixelCentring) for module in backbone.modules())
        if config.augmentation.mode == "center" and not centred:
            raise UsageError(
                f"augmentation.mode=center needs a backbone that centres, such as "
                f"unet-short-64,center=true; {config.model.backbone} does not"
            )

    def own_parameters(self) -> Iterable[nn.Parameter]:
        return self.sphere.parameters()

    def prepare(self, crops: Tensor, step: int, numbers: range) -> tuple[Tensor, Draw]:
        return StepDraws.of(self.config, step).augment(crops, numbers)

    def forward(self, images: Tensor, drawn: Draw) -> dict[str, Tensor]:
        """Loss and measures of the draws of B pairs.

        Args:
            images: (4 B, 3, H, W) warped images: A, B, A, B, each under draws of its own.
            drawn: the 4 B draws.

        Returns:
            scalars ``loss`` (to be minimised), ``cycle_accuracy`` (share of tokens that return
            to within one token) and ``radius``.
        """
        size = (images.shape[-2], images.shape[-1])
        features = self.backbone(images)
        with torch.autocast(features.device.type, enabled=False):
            features = self.sphere(unwarp(features.float(), drawn, size))
            a_row, b_row, a_col, b_col = tokens(features).chunk(DRAWS)
            parts = (a_row, b_row, a_col, b_col)
            valid = self._validity(features.shape, drawn, size)
            return self._compare(parts, valid, (features.shape[-2], features.shape[-1]))

    def _validity(
        self, shape: torch.Size, drawn: Draw, size: tuple[int, int]
    ) -> tuple[Tensor | None, Tensor | None]:
        """Tokens of A and of B that are inside in both of their draws: (B, N) each."""
        if not self.config.augmentation.validity:
            return None, None
        a_there, b_there, a_back, b_back = (
            unwarp_validity(shape, drawn, size).flatten(1).chunk(DRAWS)
        )
        return a_there & a_back, b_there & b_back

    def _compare(
        self,
        parts: Parts,
        valid: tuple[Tensor | None, Tensor | None],
        grid: tuple[int, int],
    ) -> dict[str, Tensor]:
        a_valid, b_valid = valid
        objective = self.config.objective
        loss = parts[0].new_zeros(())
        if objective.inverse_consistency:
            loss = loss + objective.inverse_consistency * self._inverse_consistency(parts, valid)
        if objective.random_walk:
            loss = loss + objective.random_walk * self._random_walk(parts)
        detached = [part.detach() for part in parts]
        accuracy = cycle_accuracy(
            *detached, grid=grid, distance=1, a_valid=a_valid, b_valid=b_valid
        )
        radius = self.sphere.radius.detach()
        return {"loss": loss, "cycle_accuracy": accuracy, "radius": radius}

    def _inverse_consistency(
        self, parts: Parts, valid: tuple[Tensor | None, Tensor | None]
    ) -> Tensor:
        pooled = _pool(parts, valid, self.config.objective.pool)
        loss = _mean_loss(*pooled[0], *pooled[1])
        if self.config.objective.symmetric:
            loss = (loss + _other_trips(*pooled)) / 8
        return loss

    def _random_walk(self, parts: Parts) -> Tensor:
        """Of the walks along A, B, A', B' (the four draws as a clip) and back from each frame."""
        a_one, b_one, a_two, b_two = parts
        return random_walk_loss(
            torch.stack([a_one, b_one, a_two, b_two], dim=1),
            temperature=self.config.objective.temperature,
            edge_dropout=self.config.objective.edge_dropout,
        )


def _pool(
    parts: Parts, valid: tuple[Tensor | None, Tensor | None], pairs: int
) -> tuple[Parts, tuple[Tensor | None, Tensor | None]]:
    """Tokens of each ``pairs`` neighbours in the batch as one sample: (B / pairs, pairs N, C)."""
    if parts[0].shape[0] % pairs:
        raise UsageError(
            f"objective.pool={pairs} does not divide the {parts[0].shape[0]} pairs that a process "
            "holds in one part of a step: change batch, objective.pool or the number of processes"
        )
    a_row, b_row, a_col, b_col = (
        part.reshape(part.shape[0] // pairs, -1, part.shape[2]) for part in parts
    )
    a_valid, b_valid = (
        None if each is None else each.reshape(each.shape[0] // pairs, -1) for each in valid
    )
    return (a_row, b_row, a_col, b_col), (a_valid, b_valid)


def _other_trips(parts: Parts, valid: tuple[Tensor | None, Tensor | None]) -> Tensor:
    """Sum of the losses of the seven other round trips that the same four draws allow.

    Each goes there by one draw of either frame and back by the other one.
    """
    a_one, b_one, a_two, b_two = parts
    a_valid, b_valid = valid
    ways = [
        (a_two, b_two, a_one, b_one),
        (a_one, b_two, a_two, b_one),
        (a_two, b_one, a_one, b_two),
    ]
    there = [_mean_loss(*way, a_valid, b_valid) for way in ways]
    back = [
        _mean_loss(b_one, a_one, b_two, a_two, b_valid, a_valid)
        for a_one, b_one, a_two, b_two in (parts, *ways)
    ]
    return torch.stack([*there, *back]).sum()


def _mean_loss(
    a_row: Tensor,
    b_row: Tensor,
    a_col: Tensor,
    b_col: Tensor,
    a_valid: Tensor | None,
    b_valid: Tensor | None,
) -> Tensor:
    """Mean over pairs of the mean over valid tokens: a batch may be split in any way."""
    log_p = inverse_consistency(a_row, b_row, a_col, b_col, a_valid=a_valid, b_valid=b_valid)
    if a_valid is None:
        return -log_p.mean()
    return -(log_p.sum(dim=1) / a_valid.sum(dim=1).clamp_min(1)).mean()


@dataclass(frozen=True)
class StepDraws:
    """The random numbers of one step for the whole global batch: the same on every process."""

    warps: list[Draw]
    photometric: list[Tensor]

    @classmethod
    def of(cls, config: TrainConfig, step: int) -> StepDraws:
        """Draw them from seed and step."""
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
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
        return cls(warps, photometric)

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
        return warp(apply_photometric(images, colours), drawn), drawn
