"""Views: channels in range, known colours, the constants of the source, views of one's own."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from vos.backbones.views import parse_views, register_view, view_names
from vos.errors import UsageError


def compute(name: str, image: np.ndarray) -> np.ndarray:
    (view,) = parse_views(name)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    return view.compute(tensor)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("name", view_names())
def test_a_view_has_its_channels_in_a_range_of_about_one(name: str) -> None:
    (view,) = parse_views(name)
    images = torch.rand(2, 3, 11, 17, generator=torch.Generator().manual_seed(0))
    found = view.compute(images)
    assert found.shape == (2, view.channels, 11, 17)
    assert found.abs().max() < 2.5


def test_lab_is_that_of_opencv_with_the_published_constants() -> None:
    image = np.random.default_rng(0).random((8, 9, 3), dtype=np.float32)
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2Lab)
    np.testing.assert_allclose(compute("L", image)[..., 0], lab[..., 0] / 50 - 1, atol=0.01)
    middle = np.array([(98.233 - 86.183) / 2, (94.478 - 107.857) / 2])
    half = np.array([(98.233 + 86.183) / 2, (94.478 + 107.857) / 2])
    np.testing.assert_allclose(compute("ab", image), (lab[..., 1:] - middle) / half, atol=0.02)


def test_luma_and_chroma_are_those_of_opencv() -> None:
    image = np.random.default_rng(0).random((8, 9, 3), dtype=np.float32)
    full = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)  # Y in [0, 1], Cr and Cb around .5
    luma = (16 + 219 * full[..., 0] - 116.151) / 109.5
    np.testing.assert_allclose(compute("Y", image)[..., 0], luma, atol=0.01)
    blue = (128 + 224 * (full[..., 2] - 0.5) - 121.080) / 111.855
    np.testing.assert_allclose(compute("CbCr", image)[..., 0], blue, atol=0.02)


def test_edges_see_slopes_and_no_flat_places() -> None:
    ramp = np.linspace(0.2, 0.8, 20, dtype=np.float32)
    image = np.repeat(np.repeat(ramp[None, :, None], 10, 0), 3, 2)
    found = compute("edges", image)
    assert (found[:, 1:-1, 0] > 0).all()
    np.testing.assert_allclose(found[..., 1], 0, atol=1e-6)


def test_blur_loses_detail() -> None:
    image = np.random.default_rng(0).random((40, 40, 3), dtype=np.float32)
    sharp, blurred = (np.diff(compute(name, image), axis=0) for name in ("Lab", "blur"))
    assert np.abs(blurred).mean() < 0.1 * np.abs(sharp).mean()


def test_next_is_the_same_view_of_the_neighbour() -> None:
    plain, following = parse_views("L+next-L")
    assert (plain.neighbour, following.neighbour) == (False, True)
    assert following.compute is plain.compute


def test_any_callable_can_be_a_view() -> None:
    @register_view("test-red", 1)
    def red(images: torch.Tensor) -> torch.Tensor:
        return 2 * images[:, :1] - 1

    (view,) = parse_views("test-red")
    assert float(view.compute(torch.ones(1, 3, 2, 2)).mean()) == 1


def test_mistakes() -> None:
    with pytest.raises(UsageError, match="did you mean edges"):
        parse_views("L+edge")
    with pytest.raises(UsageError, match="twice"):
        parse_views("L+L")
