"""What is read off a backbone, one vector an image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vos
from vos.analysis.representations import (
    checked_names,
    extract,
    represent,
    representation_names,
)
from vos.datasets.labelled import LabelledImages
from vos.errors import UsageError

SMALL = "cmc-alexnet,stem=5,stem_stride=2,width=0.25,hidden=16,dim=8,pool=2"


def images(count: int, size: tuple[int, int] = (16, 16)) -> LabelledImages:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (count, *size, 3), dtype=np.uint8)
    return LabelledImages(np.arange(count) % 2, lambda index: pixels[index])


def test_a_multiview_backbone_has_z_and_maps_of_each_view() -> None:
    backbone = vos.load(f"{SMALL},layer=3")
    names = representation_names(backbone)
    assert set(names) == {"map", "map1", "map2", "z", "z1", "z2"}
    features = extract(images(5), represent(backbone, pool=2), names, batch=2)
    assert {name: part.shape[1] for name, part in features.items()} == {
        "map": 384, "map1": 192, "map2": 192, "z": 16, "z1": 8, "z2": 8,
    }  # fmt: skip
    batch = torch.from_numpy(np.stack([images(5).read(i) for i in range(5)])).permute(0, 3, 1, 2)
    with torch.inference_mode():
        z = [backbone.embed(index, batch.float() / 255) for index in range(2)]
    for number in (1, 2):
        torch.testing.assert_close(features[f"z{number}"], z[number - 1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.cat([features["z1"], features["z2"]], 1), features["z"])


def test_other_backbones_have_their_map() -> None:
    backbone = vos.load("lab")
    assert checked_names(backbone, None) == ["map"]
    several = images(3)
    batch = torch.from_numpy(np.stack([several.read(i) for i in range(3)])).permute(0, 3, 1, 2)
    expected = backbone(batch.float() / 255).mean((2, 3))
    torch.testing.assert_close(
        extract(several, represent(backbone, pool=1), ["map"])["map"], expected
    )


def test_images_of_any_size_become_the_square_in_their_middle() -> None:
    seen: list[torch.Size] = []

    def look(batch: torch.Tensor) -> dict[str, torch.Tensor]:
        seen.append(batch.shape)
        return {"map": batch.mean((2, 3))}

    extract(images(3, (20, 31)), look, ["map"], size=16)
    assert seen == [torch.Size([3, 3, 16, 16])]
    pixels = np.zeros((8, 24, 3), np.uint8)
    pixels[:, 8:16] = 255
    middle = LabelledImages(np.zeros(1), lambda index: pixels)
    assert float(extract(middle, look, ["map"], size=8)["map"].min()) == 1


def test_mistakes() -> None:
    backbone = vos.load(SMALL)
    with pytest.raises(UsageError, match="did you mean map1"):
        checked_names(backbone, ["map11"])
    sizes = LabelledImages(np.zeros(2), lambda index: np.zeros((8 + index, 8, 3), np.uint8))
    with pytest.raises(UsageError, match="`size`"):
        extract(sizes, represent(backbone), ["z"])
