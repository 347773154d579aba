"""What the program of places measures: all, where features are the place, and nothing of noise."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest
import torch

import vos
from vos.backbones import registry
from vos.training.augmentation import draw


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The program; its network is known during the test only."""
    monkeypatch.setattr(registry, "_FAMILIES", vos.backbones.families())
    import place_story

    yield place_story


def test_probes_find_what_is_there_and_no_more(story: ModuleType) -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(160, 6, 8, 8, generator=generator)
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    places = torch.stack([rows, columns]).expand(160, 2, 8, 8)
    assert story.of_place(places) > 0.999
    assert story.place_share(places) == pytest.approx(1, abs=0.01)
    assert story.of_place(noise) < 0.05
    assert story.place_share(noise) == pytest.approx(0, abs=0.005)


def test_a_border_that_is_rolled_back_tells_the_roll(story: ModuleType) -> None:
    size = (story.SIDE, story.SIDE)
    rolls = draw("roll", 400, size, torch.Generator().manual_seed(1), strength=0.0)
    border = torch.zeros(400, 1, 16, 16)
    border[:, :, 0], border[:, :, :, 0] = 1, 1
    assert story.of_roll(story.unwarp(border, rolls, size), rolls) > 0.8
    assert story.of_roll(torch.rand(400, 1, 16, 16), rolls) < 0.05


def test_on_a_torus_features_do_not_know_the_roll(story: ModuleType) -> None:
    """Rolls by the period of the network: the same features, whatever the roll was."""
    network = story.PlaceUNet("circular", center=False).eval()
    picture = torch.rand(1, 3, story.SIDE, story.SIDE)
    with torch.inference_mode():
        plain, rolled = network(picture), network(picture.roll((16, 48), (2, 3)))
    torch.testing.assert_close(rolled.roll((-4, -12), (2, 3)), plain, rtol=1e-4, atol=1e-5)
