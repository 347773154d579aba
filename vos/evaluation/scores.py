"""What scoring gives: J and F of every object in every frame, and their summaries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from vos.metrics import Statistics, average, summarise


@dataclass(frozen=True, eq=False)
class ObjectScores:
    """Scores of one object of one sequence.

    Attributes:
        sequence: name of the sequence.
        object_id: id in the masks.
        frames: (T,) indices of the scored frames: all but the first and the last.
        J: (T,) region similarity, in [0, 1].
        F: (T,) boundary accuracy, in [0, 1].
    """

    sequence: str
    object_id: int
    frames: np.ndarray
    J: np.ndarray
    F: np.ndarray

    @property
    def name(self) -> str:
        """``<sequence>_<id>``, as in the official tables."""
        return f"{self.sequence}_{self.object_id}"

    @cached_property
    def J_statistics(self) -> Statistics:
        """Mean, recall and decay of J."""
        return summarise(self.J)

    @cached_property
    def F_statistics(self) -> Statistics:
        """Mean, recall and decay of F."""
        return summarise(self.F)

    @property
    def JF(self) -> float:
        """J&F: mean of the J mean and the F mean."""
        return (self.J_statistics.mean + self.F_statistics.mean) / 2


@dataclass(frozen=True)
class Scores:
    """Scores of a results folder, or of several together (``Scores.combine``).

    The global figures weigh every object alike.

    Attributes:
        objects: in the order of the data set, ids ascending.
        split: name used in the file names of the tables.
        masks: number of predicted masks that were read.
        seconds: time that checking and scoring took.
    """

    objects: tuple[ObjectScores, ...]
    split: str = "val"
    masks: int = 0
    seconds: float = field(default=0.0, compare=False)

    @cached_property
    def J(self) -> Statistics:
        """Region similarity averaged over objects."""
        return average([each.J_statistics for each in self.objects])

    @cached_property
    def F(self) -> Statistics:
        """Boundary accuracy averaged over objects."""
        return average([each.F_statistics for each in self.objects])

    @property
    def JF(self) -> float:
        """The headline figure J&F: mean of the J mean and the F mean."""
        return (self.J.mean + self.F.mean) / 2

    @property
    def sequences(self) -> list[str]:
        """Names of the sequences, in order."""
        return list(dict.fromkeys(each.sequence for each in self.objects))

    def of_sequence(self, name: str) -> list[ObjectScores]:
        """Return the objects of one sequence."""
        return [each for each in self.objects if each.sequence == name]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON: J&F, J, F, and J and F of every object."""
        return {
            "J&F": self.JF,
            "J": self.J.as_dict(),
            "F": self.F.as_dict(),
            "objects": {
                each.name: {"J": each.J_statistics.mean, "F": each.F_statistics.mean}
                for each in self.objects
            },
        }

    @classmethod
    def combine(cls, several: Iterable[Scores]) -> Scores:
        """Scores over the objects of all of ``several``, named after the split of the first."""
        parts = list(several)
        return cls(
            objects=tuple(each for part in parts for each in part.objects),
            split=parts[0].split,
            masks=sum(part.masks for part in parts),
            seconds=sum(part.seconds for part in parts),
        )
