"""Mean, recall and decay over the frames of an object."""

from __future__ import annotations

import numpy as np
import pytest

from vos.metrics import Statistics, average, summarise

official = pytest.importorskip("segmetric.utils", reason="esdft-segmetric is not installed")


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 7, 23, 58, 100, 255])
def test_equals_the_official_code_up_to_255_frames(frames: int) -> None:
    values = np.random.default_rng(frames).random(frames)
    mean, recall, decay = official.db_statistics(values)
    statistics = summarise(values)
    assert statistics.mean == pytest.approx(mean, abs=1e-15)
    assert statistics.recall == recall
    assert statistics.decay == pytest.approx(decay, abs=1e-15)


@pytest.mark.parametrize("frames", [256, 300, 1000, 5000])
def test_decay_is_right_for_long_videos(frames: int) -> None:
    """The official code counts frames modulo 256, and gives something else here."""
    values = np.where(np.arange(frames) < frames // 2, 0.9, 0.4)
    assert summarise(values).decay == pytest.approx(0.5)


def test_recall_counts_frames_above_one_half() -> None:
    assert summarise(np.array([0.5, 0.51, 0.2, 0.9])).recall == 0.5


def test_average_weighs_every_object_alike() -> None:
    several = [Statistics(0.2, 0.0, 0.1), Statistics(0.6, 1.0, -0.3)]
    assert average(several) == Statistics(pytest.approx(0.4), 0.5, pytest.approx(-0.1))
