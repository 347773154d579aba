"""What the loop trains: a backbone with a loss on what it makes of a batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from vos.backbones import Backbone
from vos.training.pairs import PairSampler


class Objective(nn.Module):
    """The seam between the loop, which knows no loss, and the losses, which know no loop.

    Attributes:
        backbone: whose weights are kept.
        shown: the measure that the progress bar shows beside the loss.
        frames: crops that a pair needs: 2, or 1 for its first frame alone.
    """

    backbone: Backbone
    shown: str
    frames: int = 2

    def own_parameters(self) -> Iterable[nn.Parameter]:
        """Parameters beside the backbone's; they are trained at ``optimiser.radius_rate``."""
        return ()

    def begin(self, sampler: PairSampler, device: torch.device, rank: int, world: int) -> None:
        """Get ready, once, before the first step that this process makes; the data are known."""

    def prepare(self, crops: Tensor, step: int, numbers: range) -> tuple[Any, ...]:
        """Return inputs of ``forward``, drawn from seed and ``step`` alone.

        Args:
            crops: (frames, B, 3, H, W) uint8, the pairs ``numbers`` of the global batch.
            step: steps made before this one.
            numbers: places of these pairs in the global batch of the step; pair ``n`` of it is
                number ``step * batch + n`` of the sampler.
        """
        raise NotImplementedError

    def memory(self) -> dict[str, Tensor]:
        """Return what a resumed run needs beside ``state_dict``; every process calls it, the first
        one keeps it."""
        return {}

    def remember(self, memory: dict[str, Tensor]) -> None:
        """Take over what ``memory`` gave; called before ``begin``."""
