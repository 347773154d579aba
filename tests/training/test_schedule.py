"""The rate over a run and the average of the weights, against their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from vos.training.config import OptimiserConfig
from vos.training.schedule import average_of, rate_factor


@pytest.mark.parametrize(
    ("step", "done", "expected"),
    [(0, 0.0, 0.25), (1, 0.0, 0.5), (3, 0.0, 1.0), (50, 0.5, 0.5), (99, 1.0, 0.0), (99, 1.2, 0.0)],
)
def test_the_rate_warms_up_and_falls_along_a_cosine(
    step: int, done: float, expected: float
) -> None:
    config = OptimiserConfig(schedule="cosine", warm_up=4)
    assert rate_factor(config, step, done) == pytest.approx(expected, abs=1e-12)


def test_the_average_forgets_early_weights_soon_and_later_ones_slowly() -> None:
    module = nn.BatchNorm1d(1)
    average = average_of(module, 0.5)
    expected = None
    for count, value in enumerate([1.0, 3.0, -2.0, 5.0, 0.0, 4.0]):
        nn.init.constant_(module.weight, value)
        module.num_batches_tracked.fill_(count)
        average.update_parameters(module)
        decay = min(0.5, (1 + count) / (10 + count))
        expected = value if expected is None else decay * expected + (1 - decay) * value
        assert float(average.module.weight) == pytest.approx(expected, rel=1e-6)
        assert int(average.module.num_batches_tracked) == count
    assert not math.isclose(float(average.module.weight), 4.0)


def test_the_average_of_sixteen_bit_weights_is_kept_in_float32() -> None:
    module = nn.Linear(1, 1, bias=False)
    average = average_of(module, 0.9)
    module.bfloat16()
    for value in (1.0, 2.0):
        nn.init.constant_(module.weight, value)
        average.update_parameters(module)
    assert average.module.weight.dtype is torch.float32
    assert float(average.module.weight) == pytest.approx(1 + 9 / 11)
