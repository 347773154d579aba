"""Upper bounds of similarities, many times cheaper than the similarities themselves.

Features of natural video spend most of their length in few directions. With an orthonormal basis
of the leading ones, a product splits into the products of what lies in them and of what is left
over, and the latter is at most the product of the two left-over lengths:

    q . x  <=  q' . x',   q' = (leading coordinates of q, left-over length of q)

So eight or 32 numbers per token, instead of hundreds, bound every similarity; where the bound is
below the k-th best similarity known, the place is out of the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from vos.propagation.context import ContextFrame, Source

COARSE, FINE = 8, 32  # numbers per token: fewer make looser bounds, more make longer products
SLACK = 1e-5  # squared length added to what is left over: rounding must not break the bound


class Reduced(NamedTuple):
    """Features of few numbers, whose products bound those of the features from above.

    Attributes:
        coarse: (N, COARSE).
        fine: (N, FINE).
    """

    coarse: Tensor
    fine: Tensor


@dataclass(frozen=True)
class LeadingComponents:
    """The directions in which features are longest.

    Attributes:
        basis: (C, d) orthonormal columns.
        left_over: mean squared length outside them, of the features they were found with.
        latest: the features reduced last, and what they became: the frame that is labelled now is
            one of the context next.
    """

    basis: Tensor
    left_over: float
    latest: list[tuple[Tensor, Reduced]] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, features: Tensor) -> LeadingComponents:
        """From (N, C) features of length one: leading eigenvectors of their second moments."""
        moments = features.T @ features / len(features)
        values, vectors = torch.linalg.eigh(moments.double())  # ascending
        values, vectors = values.flip(0), vectors.flip(1)
        leading = min(FINE - 1, len(values))
        return cls(vectors[:, :leading].float().contiguous(), float(values[leading:].sum()))

    def reduce(self, features: Tensor) -> Reduced:
        """Reduce (N, C) features of length one."""
        if self.latest and self.latest[0][0] is features:
            return self.latest[0][1]
        leading = features @ self.basis
        reduced = Reduced(_with_left_over(leading, COARSE), _with_left_over(leading, FINE))
        self.latest[:] = [(features, reduced)]
        return reduced

    def suit(self, reduced: Reduced) -> bool:
        """Return whether these directions still hold most of a frame, or the scene has changed."""
        return float(reduced.fine[:, -1].square().mean()) <= 2 * self.left_over + 0.05


def _with_left_over(leading: Tensor, numbers: int) -> Tensor:
    """(N, d) leading coordinates -> (N, numbers): the first of them and the left-over length."""
    leading = leading[:, : numbers - 1]
    leading = torch.nn.functional.pad(leading, (0, numbers - 1 - leading.shape[1]))
    left_over = (1 - leading.square().sum(1, keepdim=True)).clamp(min=0) + SLACK
    return torch.cat([leading, left_over.sqrt()], dim=1)


def reduced_features(query: Tensor, sources: Sequence[Source]) -> tuple[Reduced, list[Reduced]]:
    """Reduced features of the query and of each source, in the same directions.

    What is found for a source is kept with its frame.
    """
    components = _known_components(sources)
    reduced = components.reduce(query)
    if not components.suit(reduced):
        components = LeadingComponents.of(query)
        reduced = components.reduce(query)
    return reduced, [_reduced(source.frame, components) for source in sources]


def _known_components(sources: Sequence[Source]) -> LeadingComponents:
    for source in sources:
        if "reduced" in source.frame.derived:
            return source.frame.derived["reduced"][0]
    return LeadingComponents.of(sources[0].frame.features)


def _reduced(frame: ContextFrame, components: LeadingComponents) -> Reduced:
    known, reduced = frame.derived.get("reduced", (None, None))
    if known is not components:
        reduced = components.reduce(frame.features)
        frame.derived["reduced"] = (components, reduced)
    assert reduced is not None
    return reduced
