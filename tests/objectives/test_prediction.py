"""The loss of cross-view prediction is the mean over pixels, and shapes are checked."""

from __future__ import annotations

import pytest
import torch

from vos.errors import UsageError
from vos.objectives import prediction_loss


def test_it_is_the_mean_square_over_the_pixels_of_the_view() -> None:
    view = torch.rand(2, 2, 5, 7)
    predicted = torch.zeros(2, 2 * 4, 3, 4)
    assert float(prediction_loss(predicted, view)) == pytest.approx(float(view.square().mean()))
    padded = torch.nn.functional.pad(view, (0, 1, 0, 1), value=9.0)  # beyond the view: not seen
    exact = torch.nn.functional.pixel_unshuffle(padded, 2)
    assert float(prediction_loss(exact, view)) == 0


@pytest.mark.parametrize("shape", [(2, 8, 2, 4), (2, 6, 3, 4), (2, 1, 5, 7)])
def test_what_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="does not fit a view"):
        prediction_loss(torch.zeros(shape), torch.zeros(2, 2, 5, 7))
