"""`vos.open_features`: random access, and values at pixels against independent formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from scipy.ndimage import map_coordinates

import vos
from vos.errors import MissingError, UsageError, VosError
from vos.export import Features


@pytest.fixture(params=["zarr", "npz", "safetensors"])
def features(
    request: pytest.FixtureRequest, store: Path, export: Any, clip: Path, tmp_path: Path
) -> Features:
    if request.param == "zarr":
        return vos.open_features(store)
    out = tmp_path / f"clip.{request.param}"
    export(out, clip)
    return vos.open_features(out)


def test_random_access(features: Features, store: Path) -> None:
    everything = zarr.open_array(store / "features", mode="r")[:]
    assert features.shape == everything.shape
    assert features.dtype == everything.dtype
    assert len(features) == 9
    for key in (0, 7, -1, np.int64(3), slice(2, 5), slice(None), slice(8, 2, -3), slice(4, 4)):
        np.testing.assert_array_equal(features[key], everything[key])
    np.testing.assert_array_equal(features[[5, 0, 5]], everything[[5, 0, 5]])
    choice = np.isin(np.arange(9), (2, 7))
    np.testing.assert_array_equal(features[choice], everything[choice])
    np.testing.assert_array_equal(features[choice.tolist()], everything[choice])
    with pytest.raises(IndexError, match="9 values, not 4"):
        features[choice[:4]]
    with pytest.raises(IndexError, match="by frame alone"):
        features[2, 0]
    assert features[[]].shape == (0, 128, 16, 21)
    for outside in (9, -10):
        with pytest.raises(IndexError, match="9 frames"):
            features[outside]


def reference(features: Features, t: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(C, N) by scipy's own interpolation; x and y are pixels of the source."""
    known = features.attributes
    places = []
    for axis, values in enumerate((y, x)):
        seen = (values + 0.5) * known["input_size"][axis] / known["size"][axis] - 0.5
        places.append((seen - known["token_centre"]) / known["stride"])
    maps = features[t].astype(np.float64)
    return np.stack([map_coordinates(each, places, order=1, mode="nearest") for each in maps])


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"model": "lab", "resolution": 97},
        {"model": "lab,stride=4"},
        {"model": "icon-resnet18", "resolution": 50},
    ],
)
def test_points_and_pixels(choices: Any, export: Any, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "few.zarr"
    export(out, clip, every=4, **choices)
    features = vos.open_features(out)
    x = np.array([0.0, 82.0, 41.3, -0.5, 82.5, 17.0])
    y = np.array([0.0, 60.0, 20.9, -0.5, 60.5, 44.0])
    found = features.sample(2, np.stack([x, y], 1))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.T, reference(features, 2, x, y), rtol=1e-3, atol=1e-3)
    for size in ((61, 83), (30, 41), (100, 90)):
        rows = (np.arange(size[0]) + 0.5) * 61 / size[0] - 0.5
        columns = (np.arange(size[1]) + 0.5) * 83 / size[1] - 0.5
        y_grid, x_grid = (part.ravel() for part in np.meshgrid(rows, columns, indexing="ij"))
        pixels = features.resize(1, size)
        assert pixels.shape == (features.shape[1], *size)
        expected = reference(features, 1, x_grid, y_grid).reshape(pixels.shape)
        np.testing.assert_allclose(pixels, expected, rtol=1e-3, atol=1e-3)
    assert features.resize(0).shape[1:] == (61, 83)


def test_cells_agree_with_torch(export: Any, clip: Path, tmp_path: Path) -> None:
    """For cells, a frame of whole cells and no resizing, it is torch's own interpolation."""
    out = tmp_path / "cells.zarr"
    export(out, clip, every=8, model="lab", precision="float32")
    features = vos.open_features(out)
    maps = torch.from_numpy(features[0])[None]
    torch_pixels = torch.nn.functional.interpolate(
        maps, scale_factor=8, mode="bilinear", align_corners=False
    )[0, :, :61, :83]
    np.testing.assert_allclose(features.resize(0), torch_pixels, rtol=1e-4, atol=1e-5)


def test_tokens_and_pixels_are_inverse_to_one_another(store: Path) -> None:
    geometry = vos.open_features(store).geometry
    points = np.random.default_rng(0).uniform(0, 60, (20, 2))
    np.testing.assert_allclose(geometry.to_pixels(geometry.to_tokens(points)), points)
    # Padded on all sides: token i is centred at pixel i * stride.
    np.testing.assert_allclose(geometry.to_pixels(np.array([[2, 3]])), [[8, 12]])


@pytest.mark.parametrize(
    ("spec", "cells"),
    [
        ("lab", True),
        ("resnet18", False),
        ("resnet18,stride=4,layer=2", False),
        ("unet-short-64,stride=4", True),
        ("timm:vit_tiny_patch16_224,pretrained=false,layer=2", True),
    ],
)
def test_token_centre_is_measured(spec: str, cells: bool) -> None:
    from vos.backbones.token_centre import token_centre

    backbone = vos.load(spec)
    assert token_centre(backbone) == ((backbone.stride - 1) / 2 if cells else 0)
    assert all(parameter.requires_grad for parameter in backbone.parameters())


def test_points_outside_the_frame_are_refused(store: Path) -> None:
    features = vos.open_features(store)
    with pytest.raises(UsageError, match=r"\(83, 10\) lies outside the frame of 83 x 61"):
        features.sample(0, [(5, 5), (83, 10)])
    with pytest.raises(UsageError, match=r"\(N, 2\)"):
        features.sample(0, [1, 2, 3])


def test_bad_paths_are_one_line(tmp_path: Path, store: Path) -> None:
    with pytest.raises(MissingError, match="vos export VIDEO"):
        vos.open_features(tmp_path / "nothing.zarr")
    with pytest.raises(VosError, match="not written by vos export"):
        vos.open_features(tmp_path)
    for name in ("broken.npz", "broken.safetensors"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 not an archive")
        with pytest.raises(VosError, match="damaged"):
            vos.open_features(tmp_path / name)
    np.savez(tmp_path / "theirs.npz", features=np.zeros((2, 3, 4, 5)))
    with pytest.raises(VosError, match="not written by vos export"):
        vos.open_features(tmp_path / "theirs.npz")
    with pytest.raises(UsageError, match=r"no \.zarr"):
        vos.open_features(store / "zarr.json")
