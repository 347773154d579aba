"""Gradient checkpointing: blocks of a network are run again in the backward pass, not remembered.

"Training Deep Nets with Sublinear Memory Cost" (Chen et al., 2016). Memory of what is between the
blocks stays, that of what is inside them goes; a step takes about a third longer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from vos.errors import UsageError

_CONTAINERS = (nn.Sequential, nn.ModuleList)


def checkpoint_blocks(backbone: nn.Module) -> None:
    """Run each block of ``backbone`` again in the backward pass, in place.

    A block is a member of a sequence or list of modules that holds two layers with weights or
    more. Gradients and running statistics are what they are without.

    Raises:
        UsageError: the network has no blocks.
    """
    blocks = list(_blocks(backbone))
    if not blocks:
        raise UsageError("model.checkpointing needs a backbone made of blocks, such as resnet18")
    for block in blocks:
        block.forward = partial(  # type: ignore[method-assign]
            checkpoint,
            block.forward,
            use_reentrant=False,
            context_fn=partial(_contexts, block),
        )


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the outermost blocks inside ``module``."""
    for child in module.children():
        inside_list = isinstance(module, _CONTAINERS) and not isinstance(child, _CONTAINERS)
        if inside_list and _layers(child) >= 2:
            yield child
        else:
            yield from _blocks(child)


def _layers(module: nn.Module) -> int:
    return sum(1 for each in module.modules() if list(each.parameters(recurse=False)))


def _contexts(block: nn.Module) -> tuple[AbstractContextManager, AbstractContextManager]:
    """Return what surrounds the first run of a block and the second one."""
    return nullcontext(), _statistics_at_rest(block)


@contextmanager
def _statistics_at_rest(block: nn.Module) -> Iterator[None]:
    """Let batch norms use the statistics of the batch without adding them to the running ones."""
    norms = [each for each in block.modules() if isinstance(each, _BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
