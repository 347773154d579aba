"""The network that reads the planes of `cues.py`: a small U-Net from cells to tokens and back."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from vos.segmentation.cues import CELL_PLANES, TOKEN_PLANES

WEIGHTS = Path(__file__).with_name("interactive.safetensors")


class ClickNetwork(nn.Module):
    """What the planes of a frame, of clicks, a box and a mask say about each cell.

    Args:
        channels: of cells, of tokens, and of grids of 2, 4 and 8 tokens.
    """

    def __init__(self, channels: tuple[int, ...] = (16, 64, 96, 128, 128)) -> None:
        super().__init__()
        cells, *grids = channels
        self.cells = _block(CELL_PLANES, cells)
        self.to_tokens = _block(cells, 24, stride=2)
        self.tokens = nn.Sequential(_block(TOKEN_PLANES + 24, grids[0], 1), _Residual(grids[0]))
        pairs = list(pairwise(grids))
        self.down = nn.ModuleList(
            nn.Sequential(_block(fine, coarse, stride=2), _Residual(coarse))
            for fine, coarse in pairs
        )
        self.up = nn.ModuleList(
            nn.Sequential(_block(fine + coarse, fine, 1), _block(fine, fine))
            for fine, coarse in pairs
        )
        self.to_cells = nn.Conv2d(grids[0], cells, 1)
        self.out = nn.Sequential(_block(2 * cells, cells), nn.Conv2d(cells, 1, 3, padding=1))

    def forward(self, of_tokens: Tensor, of_cells: Tensor) -> Tensor:
        """Return logits (B, 2 h, 2 w).

        Args:
            of_tokens: (B, TOKEN_PLANES, h, w) float32.
            of_cells: (B, CELL_PLANES, 2 h, 2 w) float32.
        """
        fine = self.cells(of_cells)
        levels = [self.tokens(torch.cat([of_tokens, self.to_tokens(fine)], 1))]
        for down in self.down:
            levels.append(down(levels[-1]))
        values = levels.pop()
        for up, level in zip(reversed(self.up), reversed(levels), strict=True):  # type: ignore[call-overload]
            values = up(_beside(values, level))
        return self.out(_beside(self.to_cells(values), fine))[:, 0]

    @torch.inference_mode()
    def probability(self, of_tokens: np.ndarray, of_cells: np.ndarray) -> np.ndarray:
        """Return (2 h, 2 w) float32 in [0, 1] for the planes of one frame."""
        planes = (torch.from_numpy(of)[None] for of in (of_tokens, of_cells))
        logits = self(*(of.contiguous(memory_format=torch.channels_last) for of in planes))
        return torch.sigmoid(logits)[0].numpy()

    def save(self, path: Path = WEIGHTS) -> None:
        """Write the weights in 16 bits."""
        save_file(
            {
                name: values.half().contiguous() if values.is_floating_point() else values
                for name, values in self.state_dict().items()
            },
            path,
        )

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> ClickNetwork:
        """Read what `save` wrote, of any number of channels, ready for use."""
        values = load_file(path)
        layers = ("cells.0", "tokens.0.0", "down.0.0.0", "down.1.0.0", "down.2.0.0")
        network = cls(tuple(len(values[f"{layer}.weight"]) for layer in layers))
        network.load_state_dict(values)
        return network.eval().to(memory_format=torch.channels_last)


@cache
def shipped_network() -> ClickNetwork:
    """Return the network that comes with vos."""
    return ClickNetwork.load()


def _block(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _block(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, values: Tensor) -> Tensor:
        return functional.relu(values + self.norm(self.second(self.first(values))))


def _beside(coarse: Tensor, fine: Tensor) -> Tensor:
    """Enlarge the first to the size of the second; channels of both."""
    size = fine.shape[2:]
    return torch.cat([functional.interpolate(coarse, size, mode="bilinear"), fine], 1)
