"""A memory of one feature vector a scene, from which negatives are taken without recomputing them.

Source: Tian, Krishnan, Isola, "Contrastive Multiview Coding", 2019 (after Wu et al., 2018).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, distributed
from torch.nn import functional

from vos.errors import UsageError

_BLOCK = 65_536  # rows made at a time, so that a shard never holds the whole bank


class MemoryBank:
    """Features ``(size, dim)`` of one view, one row a scene, spread over the processes.

    Rows start uniform in ``±1 / sqrt(dim / 3)``, so that their length is 1 on average. Process
    ``r`` of ``w`` keeps the r-th of w equal parts; every method but the constructor is called by
    all processes together, with equally many ids, and gives what one process would give.
    Apart from storage, no cost depends on ``size``.

    Args:
        size: number of scenes.
        dim: channels of a feature.
        momentum: share of the old row in an updated one, in [0, 1).
        seed: decides the rows at the start.
        device: where the rows are.
        rank, world: this process and how many there are.

    Raises:
        UsageError: values that make no sense.
    """

    def __init__(
        self,
        size: int,
        dim: int,
        *,
        momentum: float = 0.5,
        seed: int = 0,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if size < 2 or dim < 1 or not 0 <= momentum < 1:
            raise UsageError(
                "a memory bank needs two scenes or more, a channel and a momentum in [0, 1): "
                f"{size}, {dim}, {momentum}"
            )
        self.size, self.dim, self.momentum = size, dim, momentum
        self.world = world
        share = -(-size // world)
        self.start, self.stop = min(rank * share, size), min((rank + 1) * share, size)
        self.kept = self._initial(seed).to(device)  # (stop - start, dim)

    def _initial(self, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        bound = 1 / math.sqrt(self.dim / 3)
        kept = torch.empty(self.stop - self.start, self.dim)
        for first in range(0, self.size, _BLOCK):
            last = min(first + _BLOCK, self.size)
            block = torch.empty(last - first, self.dim).uniform_(-bound, bound, generator=generator)
            here, there = max(first, self.start), min(last, self.stop)
            if here < there:
                kept[here - self.start : there - self.start] = block[here - first : there - first]
        return kept

    def rows(self, ids: Tensor) -> Tensor:
        """Return features of the scenes ``ids`` (any shape), without gradient: ``(*ids, dim)``."""
        flat = ids.reshape(-1)
        if self.world == 1:
            return self.kept.index_select(0, flat).view(*ids.shape, self.dim)
        wanted = _gather(flat)
        mine = (wanted >= self.start) & (wanted < self.stop)
        found = self.kept.new_zeros(len(wanted), self.dim)
        found[mine] = self.kept[wanted[mine] - self.start]
        distributed.all_reduce(found)
        first = distributed.get_rank() * len(flat)
        return found[first : first + len(flat)].view(*ids.shape, self.dim)

    @torch.no_grad()
    def update(self, ids: Tensor, features: Tensor) -> None:
        """Move the rows ``ids`` (B,) towards ``features`` (B, dim), and to length 1.

        Of a scene that is there twice the last one counts.
        """
        features = features.detach().to(self.kept.dtype)
        if self.world > 1:
            ids, features = _gather(ids), _gather(features)
        repeated = (ids[:, None] == ids[None]).triu(1).any(1)
        counts = ~repeated & (ids >= self.start) & (ids < self.stop)
        places = ids[counts] - self.start
        moved = torch.lerp(features[counts], self.kept[places], self.momentum)
        self.kept[places] = functional.normalize(moved, dim=1)

    def state(self) -> Tensor:
        """Return the whole bank ``(size, dim)`` on the CPU, whatever the number of processes."""
        if self.world == 1:
            return self.kept.cpu()
        share = -(-self.size // self.world)
        padded = functional.pad(self.kept, (0, 0, 0, share - len(self.kept)))
        return _gather(padded)[: self.size].cpu()

    def load(self, state: Tensor) -> None:
        """Take over what ``state`` gave, of any number of processes.

        Raises:
            UsageError: it is of another size.
        """
        if state.shape != (self.size, self.dim):
            raise UsageError(
                f"the memory bank holds {self.size} scenes of {self.dim} channels, the saved one "
                f"{tuple(state.shape)}: the training data has changed"
            )
        self.kept.copy_(state[self.start : self.stop])


def uniform_ids(size: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Scenes drawn uniformly and independently: int64 of ``shape``, each below ``size``."""
    return torch.randint(size, shape, generator=generator)


def _gather(tensor: Tensor) -> Tensor:
    """``(n, ...)`` of each process one after another: ``(world * n, ...)``."""
    parts = [torch.empty_like(tensor) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, tensor.contiguous())
    return torch.cat(parts)
