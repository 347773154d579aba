"""Pairs: decided by number alone, within the gap, inside the frame, by weight."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vos.datasets.clips import Clip
from vos.errors import UsageError
from vos.training.config import CropConfig, DataConfig
from vos.training.pairs import PairLoader, PairSampler


def make_clips() -> list[Clip]:
    random = np.random.default_rng(0)
    shapes = {"ucf-a": (9, 40, 60), "dog": (2, 64, 48), "photo": (1, 50, 50), "long": (30, 32, 32)}
    return [
        Clip(name, random.integers(0, 256, (*shape, 3), dtype=np.uint8))
        for name, shape in shapes.items()
    ]


def sampler(data: DataConfig | None = None, crop: CropConfig | None = None) -> PairSampler:
    return PairSampler(make_clips(), data or DataConfig(gap=4), crop or CropConfig(size=16), seed=3)


def test_a_pair_depends_on_seed_and_number_only() -> None:
    one, two = sampler(), sampler()
    backwards = [two.pair(number) for number in reversed(range(20))][::-1]
    assert [one.pair(number) for number in range(20)] == backwards
    assert len(set(backwards)) > 15


def test_frames_are_one_to_gap_apart_and_photos_twice_the_same() -> None:
    chosen = sampler()
    distances: dict[int, set[int]] = {}
    for number in range(600):
        pair = chosen.pair(number)
        distances.setdefault(pair.clip, set()).add(pair.frames[1] - pair.frames[0])
    assert distances[0] == {-4, -3, -2, -1, 1, 2, 3, 4}
    assert distances[1] == {-1, 1}
    assert distances[2] == {0}


def test_boxes_lie_inside_the_frame_and_differ_by_the_jitter() -> None:
    crop = CropConfig(size=16, share_min=0.4, share_max=1.0, jitter=0.0, photo_jitter=0.4)
    chosen = sampler(crop=crop)
    for number in range(400):
        pair = chosen.pair(number)
        _, height, width = chosen.shapes[pair.clip]
        for box in pair.boxes:
            assert 0 <= box.top <= height - box.side
            assert 0 <= box.left <= width - box.side
            if pair.clip != 2:
                assert 0.39 * min(height, width) <= box.side <= min(height, width)
        if pair.clip != 2:
            assert pair.boxes[0] == pair.boxes[1]
    photos = [chosen.pair(n) for n in range(400) if chosen.pair(n).clip == 2]
    assert any(pair.boxes[0].side != pair.boxes[1].side for pair in photos)


def test_the_area_of_crops_can_be_uniform() -> None:
    """Then its mean is that of its bounds, and that of the sides is larger than by sides."""
    sides = {}
    for uniform in ("side", "area"):
        crop = CropConfig(size=16, uniform=uniform, share_min=0.2**0.5, share_max=1.0)
        chosen = sampler(crop=crop)
        pairs = [chosen.pair(number) for number in range(4000)]
        shorter = [min(chosen.shapes[pair.clip][1:]) for pair in pairs]
        sides[uniform] = np.array([p.boxes[0].side for p in pairs]) / shorter
    assert float((sides["area"] ** 2).mean()) == pytest.approx(0.6, abs=0.01)
    assert float((sides["side"] ** 2).mean()) == pytest.approx(0.8 / np.log(5), abs=0.01)


def test_weights_and_the_share_of_photos_decide_how_often() -> None:
    data = DataConfig(photo_share=0.4, weights={"ucf-*": 0.5, "dog": 1.5})
    probabilities = sampler(data).probabilities
    np.testing.assert_allclose(probabilities, [0.6 * 0.5 / 3, 0.6 * 0.5, 0.4, 0.6 / 3])
    with pytest.raises(UsageError, match="no clip"):
        sampler(DataConfig(weights={"*": 0.0}))


def test_batches_are_those_of_the_step_in_order_and_shared_between_processes() -> None:
    clips, chosen = make_clips(), sampler()
    loader = PairLoader(clips, chosen, workers=3)
    whole = list(loader.batches(range(2, 7), range(4), 4))
    assert len(whole) == 5
    torch.testing.assert_close(whole[1], loader.load([12, 13, 14, 15]))
    first = list(loader.batches(range(2, 7), range(2), 4))
    second = list(loader.batches(range(2, 7), range(2, 4), 4))
    for all_of_it, one, two in zip(whole, first, second, strict=True):
        assert all_of_it.shape == (2, 4, 3, 16, 16)
        assert all_of_it.dtype == torch.uint8
        torch.testing.assert_close(all_of_it, torch.cat([one, two], dim=1))


def test_crops_show_the_box_and_are_mirrored_together() -> None:
    clips = make_clips()[3:]
    crop = CropConfig(size=32, share_min=1.0, share_max=1.0, flip=1.0)
    chosen = PairSampler(clips, DataConfig(gap=4), crop, seed=0)
    pair = chosen.pair(5)
    crops = PairLoader(clips, chosen, workers=1).load([5])
    for which in range(2):
        frame = clips[0].frames[pair.frames[which]][:, ::-1].transpose(2, 0, 1)
        np.testing.assert_array_equal(crops[which, 0].numpy(), frame)


def test_clips_on_the_device_give_the_same_crops() -> None:
    clips, chosen = make_clips(), sampler()
    plain = PairLoader(clips, chosen, workers=1).load(range(6))
    moved = PairLoader(clips, chosen, workers=1, device=torch.device("cpu")).load(range(6))
    assert (plain.int() - moved.int()).abs().max() <= 1  # resized by other sums: roundings at .5
