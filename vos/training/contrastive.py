"""One step of contrastive multiview coding: embed each view, compare, remember.

Tokens of the same place are positives where ``level`` is ``tokens``, so a place that a network
writes into its features is a perfect and useless solution, as it is for ICON. Each view therefore
has a draw of its own of the same augmentation: warped before the network, taken back behind it.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from vos.backbones import Backbone
from vos.backbones.families.cmc import Multiview
from vos.errors import UsageError
from vos.objectives.contrastive import (
    critic,
    critic_in_batch,
    directions,
    information_bound,
    log_partition,
    nce_loss,
    softmax_loss,
    view_pairs,
)
from vos.objectives.memory_bank import MemoryBank, uniform_ids
from vos.training.augmentation import Draw, draw, unwarp, warp
from vos.training.config import TrainConfig
from vos.training.draws import changed_images, step_generator
from vos.training.objective import Objective
from vos.training.pairs import PairSampler
from vos.training.shared_statistics import all_sum

Scores = tuple[Tensor, Tensor]  # of positives (B,) and of negatives (B, k)

PLACES = 2**24  # drawn places among the tokens of a batch are whole numbers below this


class ContrastiveModel(Objective):
    """A multiview backbone, and the memory banks of its views.

    A scene is a frame (or photo) of the training data: the first one of a pair. Views named
    ``next-...`` are made from the second frame of the pair, and belong to the same scene.
    """

    shown = "accuracy"
    log_partition: Tensor

    def __init__(self, backbone: Backbone, config: TrainConfig) -> None:
        super().__init__()
        if not isinstance(backbone, Multiview):
            raise UsageError(
                "objective.name=contrastive needs a backbone of several views, such as "
                f"cmc-alexnet or cmc,encoder=resnet18; {config.model.backbone} is none"
            )
        self.backbone: Multiview = backbone
        self.config, self.choices = config, config.objective.contrastive
        self.directions = directions(self.choices.graph, len(backbone.views))
        self.frames = 2 if any(view.neighbour for view in backbone.views) else 1
        self.at_tokens = self.choices.level == "tokens"
        self.remembers = self.choices.negatives > 0 and not self.at_tokens
        self._check()
        pairs = view_pairs(self.choices.graph, len(backbone.views))
        if self.choices.critic == "dot":
            pairs = []
        # W of each pair of views: z1' W z2, at first the product of z1 and z2.
        self.bilinear = nn.ParameterDict(
            {f"{one}-{other}": torch.eye(backbone.dim) for one, other in pairs}
        )
        self.banks: list[MemoryBank] = []
        self._saved: dict[str, Tensor] = {}
        self.population = 0
        self.rank, self.world = 0, 1
        # Not a number until the first batch.
        unknown = torch.full((len(self.directions),), torch.nan)
        self.register_buffer("log_partition", unknown)

    def _check(self) -> None:
        if len(self.backbone.views) == 1 and not self.remembers:
            raise UsageError("a single view is compared with its memory: set negatives above 0")
        if self.at_tokens and self.frames == 2:
            raise UsageError("level=tokens wants views of the same frame, not next-...")
        if self.at_tokens and self.config.augmentation.mode == "center":
            raise UsageError("level=tokens takes augmentation.mode=none, affine or roll")
        if self.at_tokens and self.backbone.heads[0].pool != 1:
            raise UsageError("level=tokens wants a projection of single tokens: pool=1")

    def own_parameters(self) -> Iterable[nn.Parameter]:
        return self.bilinear.parameters()

    def begin(self, sampler: PairSampler, device: torch.device, rank: int, world: int) -> None:
        self.sampler, self.rank, self.world = sampler, rank, world
        self.population = sampler.frame_count
        if not self.remembers:
            return
        for index, view in enumerate(self.backbone.views):
            bank = MemoryBank(
                self.population,
                self.backbone.dim,
                momentum=self.choices.momentum,
                seed=self.config.seed * 1_000_003 + index,
                device=device,
                rank=rank,
                world=world,
            )
            if view.name in self._saved:
                bank.load(self._saved[view.name])
            self.banks.append(bank)
        self._saved = {}

    def memory(self) -> dict[str, Tensor]:
        views = self.backbone.views
        return {view.name: bank.state() for view, bank in zip(views, self.banks, strict=False)}

    def remember(self, memory: dict[str, Tensor]) -> None:
        self._saved = memory

    def prepare(
        self, crops: Tensor, step: int, numbers: range
    ) -> tuple[Tensor, Tensor, Tensor, list[Draw]]:
        """Return inputs of ``forward``.

        Returns:
            images (frames, B, 3, H, W) in [0, 1], scenes (B,), ids of the negatives, and, where
            tokens are compared, the places of the negatives in units of 1 / ``PLACES`` of the
            batch instead, and the warp of each view.
        """
        batch, choices = self.config.batch, self.choices
        generator = step_generator(self.config, step)
        part, device = slice(numbers.start, numbers.stop), crops.device
        images = changed_images(self.config, crops, generator, numbers)
        scenes = [self.sampler.frame_number(step * batch + number) for number in numbers]
        ids = torch.empty(0, dtype=torch.long)
        if self.remembers and choices.draw == "batch":
            ids = uniform_ids(self.population, (choices.negatives,), generator)
        elif self.remembers:
            ids = uniform_ids(self.population, (batch, choices.negatives), generator)[part]
        elif self.at_tokens and choices.negatives:
            ids = (torch.rand(choices.negatives, generator=generator) * PLACES).long()
        warps = self._draws(images, generator, part) if self.at_tokens else []
        return images, torch.tensor(scenes, device=device), ids.to(device), warps

    def _draws(self, images: Tensor, generator: torch.Generator, part: slice) -> list[Draw]:
        """Return the warp of each view, drawn for the whole batch: the same on every process."""
        augmentation, size = self.config.augmentation, (images.shape[-2], images.shape[-1])
        return [
            draw(
                augmentation.mode,
                self.config.batch,
                size,
                generator,
                strength=augmentation.strength,
            )[part].to(images.device)
            for _ in self.backbone.views
        ]

    def forward(
        self, images: Tensor, scenes: Tensor, negatives: Tensor, warps: list[Draw]
    ) -> dict[str, Tensor]:
        """Loss and measures of B scenes.

        Returns:
            scalars ``loss`` (sum over the directions of the graph), ``bound`` (on the mutual
            information, log k - L in nats, mean over directions) and ``accuracy`` (how often
            the positive beats all negatives).
        """
        if self.at_tokens:
            views = self._tokens(images[0], warps)
            scenes = torch.arange(len(views[0]), device=scenes.device)
            scenes = scenes + self.rank * len(scenes)
        else:
            views = [
                self.backbone.embed(index, images[int(view.neighbour)]).float()
                for index, view in enumerate(self.backbone.views)
            ]
        with torch.autocast(images.device.type, enabled=False):
            scores = self._scores(views, scenes, negatives)
            losses = [self._loss(index, *each) for index, each in enumerate(scores)]
        if self.training:
            for bank, view in zip(self.banks, views, strict=False):
                bank.update(scenes, view)
        with torch.no_grad():
            bound = torch.stack([information_bound(*each) for each in scores]).mean()
            wins = torch.stack([(one > most.amax(1)).float().mean() for one, most in scores])
        return {"loss": torch.stack(losses).sum(), "bound": bound, "accuracy": wins.mean()}

    def _tokens(self, images: Tensor, warps: list[Draw]) -> list[Tensor]:
        """Unit rows (B h w, dim) of each view of (B, 3, H, W) images, place by place."""
        maps = [self._map(index, images, warped) for index, warped in enumerate(warps)]
        return [each.permute(0, 2, 3, 1).flatten(0, 2) for each in maps]

    def _map(self, index: int, images: Tensor, warped: Draw) -> Tensor:
        """Unit tokens (B, dim, h, w) of a view, back where they were before the warp."""
        border = self.config.augmentation.border
        seen = self.backbone.tokens(index, warp(images.float(), warped, border).to(images.dtype))
        back = unwarp(seen.float(), warped, (images.shape[-2], images.shape[-1]), border)
        return functional.normalize(back, dim=1)

    def _scores(self, views: list[Tensor], scenes: Tensor, negatives: Tensor) -> list[Scores]:
        """Scores of each direction of the graph."""
        temperature = self.choices.temperature
        anchors = [self._anchors(views[one], one, other) for one, other in self.directions]
        if self.remembers:
            positive = [bank.rows(scenes) for bank in self.banks]
            negative = [bank.rows(negatives) for bank in self.banks]
            return [
                critic(each, positive[other], negative[other], temperature=temperature)
                for each, (_, other) in zip(anchors, self.directions, strict=True)
            ]
        everywhere = [self._gathered(view) for view in views]
        ids = self._gathered(scenes)
        own = torch.arange(len(scenes), device=ids.device) + self.rank * len(scenes)
        if self.at_tokens and len(negatives):
            chosen = negatives * len(ids) // PLACES
            return [
                self._among(each, everywhere[other], scenes, ids, own, chosen)
                for each, (_, other) in zip(anchors, self.directions, strict=True)
            ]
        return [
            critic_in_batch(each, everywhere[other], scenes, ids, own, temperature=temperature)
            for each, (_, other) in zip(anchors, self.directions, strict=True)
        ]

    def _anchors(self, rows: Tensor, one: int, other: int) -> Tensor:
        """Return rows (B, dim) of view ``one`` whose products with the other's are the critic."""
        if self.choices.critic == "dot":
            return rows
        if f"{one}-{other}" in self.bilinear:
            return rows @ self.bilinear[f"{one}-{other}"]
        return rows @ self.bilinear[f"{other}-{one}"].T

    def _among(
        self,
        anchors: Tensor,
        candidates: Tensor,
        scenes: Tensor,
        ids: Tensor,
        own: Tensor,
        chosen: Tensor,
    ) -> Scores:
        """Scores with the ``chosen`` candidates as negatives."""
        temperature = self.choices.temperature
        positive, negative = critic(
            anchors, candidates[own], candidates[chosen], temperature=temperature
        )
        return positive, negative.masked_fill(scenes[:, None] == ids[chosen], -torch.inf)

    def _gathered(self, rows: Tensor) -> Tensor:
        """Rows of all processes one after another, with gradients to each of them."""
        if self.world == 1:
            return rows
        everything = rows.new_zeros(self.world, *rows.shape)
        everything[self.rank] = rows
        return all_sum(everything).flatten(0, 1)

    def _loss(self, index: int, positive: Tensor, negative: Tensor) -> Tensor:
        if self.choices.loss == "softmax":
            return softmax_loss(positive, negative).mean()
        population = len(negative[0]) if self.at_tokens else self.population
        known = self._partition(index, positive, negative, population)
        return nce_loss(positive, negative, log_partition=known, population=population).mean()

    def _partition(self, index: int, positive: Tensor, negative: Tensor, population: int) -> Tensor:
        """Log Z of a direction: what the first batch said, or a mean over the batches so far."""
        known = self.log_partition[index]
        first = bool(known.isnan())
        if not self.training or (self.choices.partition == "first" and not first):
            return known
        newest = log_partition(positive, negative, population)
        if self.world > 1:
            sizes = newest.exp()
            distributed.all_reduce(sizes)
            newest = (sizes / self.world).log()
        if not first:
            share = known.new_tensor([self.choices.partition_momentum])
            newest = torch.logaddexp(known + share.log(), newest + (1 - share).log())[0]
        self.log_partition[index] = newest
        return newest
