"""Learning rates and averaged weights, against their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from vos.training.config import OptimiserConfig
from vos.training.schedule import average_of, rate_factor, resume_average


@pytest.mark.parametrize(
    ("done", "factor"), [(0, 1), (1 / 3, 0.75), (0.5, 0.5), (2 / 3, 0.25), (1, 0), (1.2, 0)]
)
def test_cosine_goes_from_the_whole_rate_to_nothing(done: float, factor: float) -> None:
    config = OptimiserConfig(schedule="cosine")
    assert rate_factor(config, 1000, done) == pytest.approx(factor, abs=1e-12)


def test_the_rate_drops_in_steps() -> None:
    config = OptimiserConfig(schedule="steps", drops=[0.5, 2 / 3])
    found = [rate_factor(config, 1000, done) for done in (0, 0.49, 0.5, 0.66, 0.7, 1.0)]
    assert found == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_a_warm_up_is_a_straight_line_and_multiplies_the_schedule() -> None:
    constant = OptimiserConfig(schedule="constant", warm_up=4)
    assert [rate_factor(constant, step, 0) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    cosine = OptimiserConfig(schedule="cosine", warm_up=4)
    assert rate_factor(cosine, 1, 0.25) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)) / 2)


def test_the_average_forgets_early_weights_and_then_decays_as_set() -> None:
    module = nn.BatchNorm1d(1)  # weight, bias; running statistics; a counter
    module.weight.data.fill_(0.0)
    module.running_mean.fill_(0.0)
    average = average_of(module, 0.5)
    module.weight.data.fill_(1.0)
    module.running_mean.fill_(2.0)
    module.num_batches_tracked.fill_(7)
    expected = 0.0
    for step in range(12):
        average.update_parameters(module)
        decay = min(0.5, (1 + step) / (10 + step))  # 0.1, 2 / 11, ... and 0.5 from step 8 on
        expected = decay * expected + (1 - decay) * 1.0
        assert average.module.weight.item() == pytest.approx(expected, rel=1e-5)
        assert average.module.running_mean.item() == pytest.approx(2 * expected, rel=1e-5)
    assert torch.equal(average.module.num_batches_tracked, torch.tensor(7))


def test_the_average_stays_where_it_was_by_its_decay() -> None:
    module = nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(1.0)
    average = resume_average(average_of(module, 0.9), 1000)
    module.weight.data.fill_(0.0)
    average.update_parameters(module)
    assert average.module.weight.item() == pytest.approx(0.9)


def test_the_average_of_sixteen_bit_weights_is_kept_in_float32() -> None:
    module = nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(1.0)
    average = average_of(module, 0.9)
    module.bfloat16()
    module.weight.data.fill_(2.0)
    average.update_parameters(module)
    assert average.module.weight.dtype is torch.float32
    assert average.module.weight.item() == pytest.approx(0.1 * 1 + 0.9 * 2)
