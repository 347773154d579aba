"""The tiled form against the dense one in float64: values, gradients, masks, precisions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vos.objectives import RoundTrip, inverse_consistency, inverse_consistency_dense
from vos.objectives.icon_tiled import ROWS, STRIP, inverse_consistency_tiled


def features(batch: int, n: int, m: int, *, radius: float, noise: float | None) -> list[Tensor]:
    """Random features on a sphere; with ``noise`` the four sets are alike, as trained ones."""
    generator = torch.Generator().manual_seed(n * 1000 + m)

    def draw(count: int) -> Tensor:
        return torch.randn(batch, count, 16, generator=generator)

    if noise is None:
        sets = [draw(count) for count in (n, m, n, m)]
    else:
        base = draw(max(n, m))
        sets = [base[:, :count] + noise * draw(count) for count in (n, m, n, m)]
    return [radius * functional.normalize(x, dim=2) for x in sets]


def value_and_gradients(
    function, sets: list[Tensor], *, floor: float = 0.0, **masks
) -> list[Tensor]:
    sets = [x.detach().clone().requires_grad_() for x in sets]
    log_p = function(RoundTrip(*sets, **masks), floor=floor)
    upstream = torch.linspace(0.5, 1.5, log_p.numel(), dtype=log_p.dtype).view(log_p.shape)
    (log_p * upstream).sum().backward()
    return [log_p.detach(), *(x.grad for x in sets)]


def assert_agree(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for which, (a, b) in enumerate(zip(found, expected, strict=True)):
        error = (a.double() - b).norm() / b.norm()
        assert error < tolerance, f"relative error {error:.1e} of result {which}"


@pytest.mark.parametrize("noise", [None, 0.3])
@pytest.mark.parametrize("radius", [1.0, 5.0, 12.0, 20.0])
@pytest.mark.parametrize(
    ("batch", "n", "m"), [(1, ROWS + 37, 2 * STRIP + 69), (3, 131, STRIP), (2, 211, 5)]
)
def test_agrees_with_float64(batch, n, m, radius, noise):
    sets = features(batch, n, m, radius=radius, noise=noise)
    found = value_and_gradients(inverse_consistency_tiled, sets)
    assert found[0].dtype is torch.float32
    expected = value_and_gradients(inverse_consistency_dense, [x.double() for x in sets])
    # Scores reach radius squared: at 400 the rounding of float32 alone is 3e-5 in an exponent.
    assert_agree(found, expected, 1e-5 if radius <= 12 else 3e-5)


def test_a_single_token_of_b_is_where_all_go():
    sets = features(2, 140, 1, radius=5.0, noise=None)
    found = value_and_gradients(inverse_consistency_tiled, sets)
    expected = value_and_gradients(inverse_consistency_dense, [x.double() for x in sets])
    assert found[1].abs().max() < 1e-5
    assert found[2].abs().max() < 1e-4
    assert_agree([found[0], *found[3:]], [expected[0], *expected[3:]], 1e-5)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads_gives_the_same(threads):
    before = torch.get_num_threads()
    sets = features(2, 150, 200, radius=12.0, noise=0.3)
    expected = value_and_gradients(inverse_consistency_dense, [x.double() for x in sets])
    try:
        torch.set_num_threads(threads)
        assert_agree(value_and_gradients(inverse_consistency_tiled, sets), expected, 1e-5)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_left_out_tokens():
    generator = torch.Generator().manual_seed(1)
    sets = features(4, 170, 140, radius=8.0, noise=0.5)
    masks = {
        "a_valid": torch.rand(4, 170, generator=generator) < 0.7,
        "b_valid": torch.rand(4, 140, generator=generator) < 0.6,
    }
    masks["a_valid"][1] = False
    masks["b_valid"][2] = False
    found = value_and_gradients(inverse_consistency_tiled, sets, **masks)
    expected = value_and_gradients(inverse_consistency_dense, [x.double() for x in sets], **masks)
    assert_agree(found, expected, 1e-5)
    assert (found[0][1] == 0).all() and (found[0][2] == 0).all()


def test_sixteen_bit_features_are_accumulated_in_float32():
    sets = [x.bfloat16() for x in features(2, 150, 130, radius=12.0, noise=0.3)]
    found = value_and_gradients(inverse_consistency, sets)
    expected = value_and_gradients(inverse_consistency_dense, [x.double() for x in sets])
    assert found[0].dtype is torch.float32
    assert_agree(found[:1], expected[:1], 1e-5)
    for gradient, reference in zip(found[1:], expected[1:], strict=True):
        assert gradient.dtype is torch.bfloat16  # itself rounded: 8 bits
        assert (gradient.double() - reference).norm() < 3e-3 * reference.norm()


def test_gradcheck_in_float64():
    sets = [x.double().requires_grad_() for x in features(2, 7, 5, radius=3.0, noise=None)]
    a_valid = torch.ones(2, 7, dtype=torch.bool)
    a_valid[0, 2] = False
    for valid, floor in ((None, 0.0), (a_valid, 0.0), (None, 0.01)):
        assert torch.autograd.gradcheck(
            lambda *sets, valid=valid, floor=floor: inverse_consistency_tiled(
                RoundTrip(*sets, valid), floor=floor
            ),
            sets,
        )


def test_the_floor_is_that_of_the_dense_form():
    sets = features(2, 150, 130, radius=4.0, noise=0.5)
    found = value_and_gradients(inverse_consistency_tiled, sets, floor=1e-4)
    expected = value_and_gradients(
        inverse_consistency_dense, [x.double() for x in sets], floor=1e-4
    )
    assert_agree(found, expected, 1e-5)


def test_scores_far_apart_stay_finite():
    """Features nobody normalised: probabilities underflow, log-probabilities must not."""
    sets = [40 * x for x in features(1, 140, 140, radius=10.0, noise=None)]
    found = value_and_gradients(inverse_consistency, sets)
    expected = value_and_gradients(inverse_consistency_dense, [x.double() for x in sets])
    assert all(x.isfinite().all() for x in found)
    assert_agree(found[:1], expected[:1], 1e-5)
