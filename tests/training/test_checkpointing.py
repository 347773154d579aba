"""Checkpointed blocks give the gradients and the running statistics of plain ones."""

from __future__ import annotations

import pytest
import torch

import vos
from vos.errors import UsageError
from vos.training.checkpointing import checkpoint_blocks


def test_gradients_and_statistics_are_those_without() -> None:
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    plain, checked = (vos.load("resnet18,layer=2", seed=1).train() for _ in range(2))
    checkpoint_blocks(checked)
    kept: list[int] = []
    for backbone in (plain, checked):
        count = 0

        def count_saved(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal count
            count += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count_saved, lambda tensor: tensor):
            loss = backbone(images).square().mean()
        kept.append(count)
        loss.backward()
    for (name, one), two in zip(plain.named_parameters(), checked.parameters(), strict=True):
        torch.testing.assert_close(two.grad, one.grad, msg=name)
    for (name, one), two in zip(plain.named_buffers(), checked.buffers(), strict=True):
        torch.testing.assert_close(two, one, msg=name)
    assert kept[1] < 0.7 * kept[0]


def test_a_network_without_blocks_is_told() -> None:
    with pytest.raises(UsageError, match="made of blocks"):
        checkpoint_blocks(torch.nn.Conv2d(3, 3, 1))
