"""Convolutions whose filters are made from fewer weights: made once for evaluation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class ExpandedFilter(nn.Module):
    """Base of convolutions that build their filters from ``weight`` by a fixed linear map.

    While training (or wherever gradients reach ``weight``) the filters are built at each forward.
    ``eval()`` builds them once and keeps them; loading weights builds them again.
    """

    weight: nn.Parameter
    expanded: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        # A buffer, so that it moves and changes its type with the module; never saved.
        self.register_buffer("expanded", None, persistent=False)

    def expand(self) -> Tensor:
        """Return the filters, built from ``weight``."""
        raise NotImplementedError

    def filters(self) -> Tensor:
        """Return the filters to convolve with."""
        if self.training or (torch.is_grad_enabled() and self.weight.requires_grad):
            self.expanded = None  # the weights may be about to change
        if self.expanded is None:
            return self.expand()
        return self.expanded

    def train(self, mode: bool = True) -> ExpandedFilter:
        super().train(mode)
        self._keep()
        return self

    def _load_from_state_dict(self, *arguments: Any, **options: Any) -> None:
        super()._load_from_state_dict(*arguments, **options)
        self._keep()

    @torch.no_grad()
    def _keep(self) -> None:
        self.expanded = None if self.training else self.expand().detach()
