"""What moves together belongs together: motion as a second witness of the objects of a video.

An object may look like what is behind it, and what is behind it like the object; but a ball that
flies moves otherwise than the ground. How the objects move changes from moment to moment, so a
classifier of motion is fitted to each frame, once its labels are known, and asked about the next.
Where all things move alike it knows nothing, and says so: what it foretold is compared with the
labels that were found, and it counts as far as it was right, and not where two motions meet.

Source: "common fate" of Wertheimer, "Untersuchungen zur Lehre von der Gestalt II", 1923; opinions
that are pooled linearly by trust: Stone, "The Opinion Pool", 1961.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from vos.propagation.classifier import Examples, ObjectClassifier, token_weights

RIDGE = 1e-3  # see `classifier.RIDGE`
WAVES = 32
SHORTEST, LONGEST = 0.02, 2.0  # of the differences of motion that waves tell, in tokens per frame


@dataclass(frozen=True)
class MotionCue:
    """What the last frame tells of how the objects move.

    Attributes:
        classifier: of motions, fitted to the frame.
        trust: (K + 1,) from 0 to 1, how well the one before foretold the labels of the frame.
    """

    classifier: ObjectClassifier
    trust: Tensor

    @classmethod
    def of(cls, waves: Tensor, labels: Tensor, before: MotionCue | None) -> MotionCue:
        """Learn from a frame.

        Args:
            waves: (N, 2 WAVES), the `motion_waves` of the frame.
            labels: (N, K + 1) that were found.
            before: the cue of the frame before, which knew as many objects, if there is one.
        """
        classifier = ObjectClassifier.fit(Examples.of(waves, labels), RIDGE)
        if before is None:
            return cls(classifier, labels.new_zeros(labels.shape[1]))
        return cls(classifier, foretold_share(before.classifier.foretell(waves), labels))

    def foretell(self, waves: Tensor) -> Tensor:
        """(N, 2 WAVES) of tokens -> (N, K + 1) labels, 0 to 1, as motion alone has them."""
        return self.classifier.foretell(waves).clamp(0, 1)

    def factors(self, waves: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return (N, K + 1) by which what else is known of a token is multiplied.

        With trust it is what the motion of the token says, without any it is 1/2 for all. Flow is
        mixed where two motions meet, so a token is trusted less the more its neighbours disagree.
        """
        said = self.foretell(waves)
        trust = self.trust * (1 - spread_around(said, grid))
        return trust * said + (1 - trust) / 2


def spread_around(values: Tensor, grid: tuple[int, int]) -> Tensor:
    """(N, K) -> (N, K), the largest less the smallest value among the 3 x 3 tokens around each."""
    planes = values.T.reshape(1, -1, *grid)
    largest, smallest = (functional.max_pool2d(each, 3, 1, 1) for each in (planes, -planes))
    return (largest + smallest).flatten(2)[0].T


def foretold_share(foretold: Tensor, labels: Tensor) -> Tensor:
    """Return (K + 1,) the share, 0 to 1, of the variance of labels that was foretold.

    This is the coefficient of determination of each object's labels, 0 where it is negative; tokens
    have the weights that they have as examples of a classifier.
    """
    weights = token_weights(labels)
    missed = (weights * (foretold - labels).square()).sum(0)
    spread = (weights * (labels - (weights * labels).sum(0)).square()).sum(0)
    return (1 - missed / spread.clamp(min=1e-9)).clamp(0, 1)


def motion_waves(motion: Tensor) -> Tensor:
    """(N, 2) -> (N, 2 WAVES) of length one: waves of many lengths over the plane of motions.

    A linear function of them can tell any two motions apart, fast ones and slow ones ("Random
    Features for Large-Scale Kernel Machines", Rahimi and Recht, NeurIPS 2007).
    """
    phases = motion @ _frequencies().to(motion)
    return torch.cat([phases.cos(), phases.sin()], dim=1) / WAVES**0.5


@lru_cache(maxsize=1)
def _frequencies() -> Tensor:
    """(2, WAVES), in radians per token."""
    # RandomState: a stream that numpy promises never to change.
    drawn = np.random.RandomState(0)
    lengths = SHORTEST * (LONGEST / SHORTEST) ** np.linspace(0, 1, WAVES)
    return torch.from_numpy((drawn.standard_normal((2, WAVES)) / lengths).astype(np.float32))
