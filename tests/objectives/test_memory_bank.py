"""The memory bank: published start and update, shards that act as one."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from vos.errors import UsageError
from vos.objectives.memory_bank import MemoryBank, uniform_ids


def test_rows_start_uniform_with_length_one_on_average() -> None:
    bank = MemoryBank(20_000, 128, seed=1)
    bound = (128 / 3) ** -0.5
    assert bank.kept.abs().max() <= bound
    assert float(bank.kept.mean()) == pytest.approx(0, abs=1e-3)
    assert float(bank.kept.square().sum(1).mean()) == pytest.approx(1, abs=0.01)
    assert torch.equal(bank.kept, MemoryBank(20_000, 128, seed=1).kept)


@pytest.mark.parametrize("momentum", [0.5, 0.8])
def test_an_update_mixes_and_normalises_and_leaves_others_alone(momentum: float) -> None:
    bank = MemoryBank(6, 3, momentum=momentum)
    before = bank.kept.clone()
    features = torch.nn.functional.normalize(torch.randn(2, 3), dim=1)
    bank.update(torch.tensor([4, 1]), features)
    for row, feature in ((4, features[0]), (1, features[1])):
        mixed = momentum * before[row] + (1 - momentum) * feature
        torch.testing.assert_close(bank.kept[row], mixed / mixed.norm())
    assert torch.equal(bank.kept[[0, 2, 3, 5]], before[[0, 2, 3, 5]])


def test_of_a_scene_that_is_there_twice_the_last_counts() -> None:
    one, two = MemoryBank(4, 3), MemoryBank(4, 3)
    features = torch.randn(3, 3)
    one.update(torch.tensor([2, 0, 2]), features)
    two.update(torch.tensor([0, 2]), features[1:])
    assert torch.equal(one.kept, two.kept)


def test_rows_of_any_shape_and_the_state_again() -> None:
    bank = MemoryBank(10, 4)
    ids = uniform_ids(10, (3, 5), torch.Generator().manual_seed(0))
    assert torch.equal(bank.rows(ids), bank.kept[ids])
    other = MemoryBank(10, 4, seed=7)
    other.load(bank.state())
    assert torch.equal(other.kept, bank.kept)
    with pytest.raises(UsageError, match="training data has changed"):
        MemoryBank(11, 4).load(bank.state())


PROGRAM = """
import sys, torch
from torch import distributed
from vos.objectives.memory_bank import MemoryBank
rank = int(sys.argv[1])
distributed.init_process_group(
    "gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=2
)
alone, shard = MemoryBank(7, 4, seed=3), MemoryBank(7, 4, seed=3, rank=rank, world=2)
assert len(shard.kept) == (4, 3)[rank]
assert torch.equal(shard.state(), alone.state())
ids = torch.tensor([[6, 0, 3], [2, 6, 5]])
features = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
assert torch.equal(shard.rows(ids[rank]), alone.rows(ids[rank]))
alone.update(ids.flatten(), features)
shard.update(ids[rank], features[3 * rank : 3 * rank + 3])
assert torch.equal(shard.state(), alone.state())
shard.load(alone.state().flip(0))
assert torch.equal(shard.rows(ids), alone.state().flip(0)[ids])
distributed.barrier()  # none leaves while the other still talks to it
distributed.destroy_process_group()
"""


def test_two_shards_act_as_one_bank(tmp_path) -> None:
    command = [sys.executable, "-c", PROGRAM]
    processes = [
        subprocess.Popen([*command, str(rank), str(tmp_path / "meet")], stderr=subprocess.PIPE)
        for rank in range(2)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
