"""Keep the topology of the annotations: no new holes, no new pieces, unless motion or looks object.

The dark patches of a ball look like the dark forest behind it, and once they are lost they stay
lost. But an object that has no hole where a person annotated it gets none by being moved. It may
bend round a piece of the background, as an arm on a hip does; that piece then moves otherwise.

And labels leak to what an object passes, a tree or another person, and stay there. What lies apart
from an object of one piece may be the object still, behind a pole; it then moves or looks like it.
Where motion does not tell the object from the rest, nothing is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from torch import Tensor

Witness = Callable[[np.ndarray], Tensor]  # tokens (n,) -> (n, K + 1) what it takes them for


@dataclass(frozen=True)
class Topology:
    """What the annotated frames show of the shapes of objects.

    Attributes:
        solid: channels of the objects that have no hole in any of them.
        whole: channels of those that never have more than one piece.
    """

    solid: tuple[int, ...] = ()
    whole: tuple[int, ...] = ()

    @classmethod
    def of(cls, annotations: Sequence[Tensor], grid: tuple[int, int]) -> Topology:
        """Look at the labels (N, K + 1) of each annotated frame, background first."""
        channels = range(1, annotations[0].shape[1]) if annotations else ()
        planes = {c: [each[:, c] for each in annotations] for c in channels}
        return cls(
            tuple(c for c in planes if not any(holes(plane, grid) for plane in planes[c])),
            tuple(c for c in planes if all(len(pieces(plane, grid)) < 2 for plane in planes[c])),
        )

    def restored(
        self, labels: Tensor, grid: tuple[int, int], motion: Witness, looks: Witness
    ) -> Tensor:
        """Return labels (N, K + 1) with holes filled and pieces dropped; ``labels`` stay.

        Args:
            motion: takes tokens for one or another object by how they move.
            looks: does so by how they look.
        """
        labels = labels.clone()
        for channel in self.solid:
            for tokens in holes(labels[:, channel], grid):
                if _share(motion, tokens, channel) > 0.5:
                    _hand_over(labels, tokens, 0, channel)
        for channel in self.whole:
            for tokens in _strays(labels, channel, grid, motion, looks):
                _hand_over(labels, tokens, channel, 0)
        return labels


def _strays(
    labels: Tensor, channel: int, grid: tuple[int, int], motion: Witness, looks: Witness
) -> list[np.ndarray]:
    """Return the tokens (n,) of each piece that neither witness takes for the object.

    There is none where motion does not even take the largest piece for it.
    """
    found = pieces(labels[:, channel], grid)
    if len(found) < 2 or _share(motion, found[0], channel) < 0.5:
        return []
    witnesses = (motion, looks)
    return [p for p in found[1:] if all(_share(each, p, channel) < 0.5 for each in witnesses)]


def _hand_over(labels: Tensor, tokens: np.ndarray, giver: int, taker: int) -> None:
    """Give the labels of one channel to another, in place."""
    labels[tokens, taker] += labels[tokens, giver]
    labels[tokens, giver] = 0


def holes(plane: Tensor, grid: tuple[int, int]) -> list[np.ndarray]:
    """Return the tokens (n,) of each part of the frame that an object encloses.

    Args:
        plane: (N,) labels of the object, which is where they are above a half.
    """
    count, parts = _parts(plane <= 0.5, grid, connectivity=4)
    edges = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    enclosed = np.setdiff1d(np.arange(1, count), edges)
    return [np.flatnonzero(parts == part) for part in enclosed]


def pieces(plane: Tensor, grid: tuple[int, int]) -> list[np.ndarray]:
    """Return the tokens (n,) of each connected piece of an object, the largest first."""
    count, parts = _parts(plane > 0.5, grid, connectivity=8)
    found = [np.flatnonzero(parts == part) for part in range(1, count)]
    return sorted(found, key=len, reverse=True)


def _parts(where: Tensor, grid: tuple[int, int], connectivity: int) -> tuple[int, np.ndarray]:
    """Return how many connected parts there are, with the rest (0), and which each token is of."""
    plane = where.cpu().numpy().reshape(grid).astype(np.uint8)
    return cv2.connectedComponents(plane, connectivity=connectivity)


def _share(witness: Witness, tokens: np.ndarray, channel: int) -> float:
    """Return how much of the tokens the witness takes for the object, about 0 to 1."""
    return float(witness(tokens)[:, channel].mean())
