"""Cross-view prediction: one view of an image from the features of another, pixel by pixel.

What contrastive multiview coding is compared with by its authors: here all pixels weigh alike,
whatever they mean.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from vos.errors import UsageError


def prediction_loss(predicted: Tensor, view: Tensor) -> Tensor:
    """Return the mean squared error of a predicted view: a scalar, at least 0.

    Args:
        predicted: for each token of a map the ``stride x stride`` pixels that it stands for, as
            ``torch.nn.functional.pixel_shuffle`` takes them, ``(B, c stride^2, h, w)``.
        view: the view itself, ``(B, c, H, W)`` with ``h = ceil(H / stride)``.

    Raises:
        UsageError: shapes that do not fit.
    """
    pixels, channels = predicted.shape[1], view.shape[1]
    stride = round((pixels / channels) ** 0.5)
    grid = (-(-view.shape[2] // stride), -(-view.shape[3] // stride)) if stride else (0, 0)
    if channels * stride**2 != pixels or predicted.shape[2:] != grid:
        raise UsageError(
            f"a prediction {tuple(predicted.shape)} does not fit a view {tuple(view.shape)}"
        )
    whole = functional.pixel_shuffle(predicted, stride)
    return functional.mse_loss(whole[:, :, : view.shape[2], : view.shape[3]], view)
