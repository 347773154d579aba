"""The network of clicks: sizes, files, and that it says the same again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vos.segmentation.click_network import WEIGHTS, ClickNetwork, shipped_network
from vos.segmentation.cues import CELL_PLANES, TOKEN_PLANES, CellBox, FrameCues, directions


@pytest.fixture
def cues():
    generator = np.random.default_rng(0)
    image = generator.integers(0, 255, (72, 104, 3), dtype=np.uint8)
    return FrameCues(image, directions(generator.random((60, 9, 13), np.float32)))


@pytest.mark.parametrize("box", [None, CellBox(4, 6, 12, 20), CellBox(0, 0, 18, 26)])
@pytest.mark.parametrize("clicks", [[], [(3, 5)], [(3, 5), (17, 25)]])
def test_planes_of_any_clicks_and_boxes_have_one_shape(cues, clicks, box):
    before = np.full(cues.cells, 0.5, np.float32)
    for mask in (None, before):
        of_tokens, of_cells = cues.planes(clicks, clicks[1:], box, mask)
        assert of_tokens.shape == (TOKEN_PLANES, 9, 13) and of_cells.shape == (CELL_PLANES, 18, 26)
        assert np.isfinite(of_tokens).all() and np.isfinite(of_cells).all()
        labels = shipped_network().probability(of_tokens, of_cells)
        assert labels.shape == (18, 26) and 0 <= labels.min() <= labels.max() <= 1


def test_it_says_the_same_again(cues):
    planes = cues.planes([(3, 5)], [])
    first, again = (shipped_network().probability(*planes) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_files_hold_the_network_in_half_the_bytes(cues, tmp_path):
    torch.manual_seed(0)
    network = ClickNetwork().eval()
    network.save(tmp_path / "network.safetensors")
    planes = cues.planes([(3, 5)], [(10, 20)])
    read = ClickNetwork.load(tmp_path / "network.safetensors")
    np.testing.assert_allclose(read.probability(*planes), network.probability(*planes), atol=0.01)
    count = sum(values.numel() for values in network.parameters())
    assert 2 * count <= (tmp_path / "network.safetensors").stat().st_size < 2 * count + 40_000
    assert WEIGHTS.stat().st_size < 4_000_000
