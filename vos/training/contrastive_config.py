"""The choices of contrastive multiview coding."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class ContrastiveConfig:
    """Which views are compared (the views themselves are the backbone's), with what, and how.

    ``negatives`` of each anchor come from a memory bank of all frames; 0 takes the rest of the
    batch and keeps no bank. ``draw`` is ``batch`` (one set of negatives per step) or ``sample``
    (one an anchor, as published, which costs memory traffic). ``level`` ``tokens`` compares the
    tokens of the maps of a batch, of which ``negatives`` (0: all) serve as such. ``critic`` is
    ``dot``, the product of two representations, as in the published code, or ``bilinear``, with a
    trained matrix between them.
    """

    loss: str = "nce"  # nce or softmax
    critic: str = "dot"
    graph: str = "core"  # core (the first view with all others) or full (each with each)
    negatives: int = 4096
    draw: str = "batch"
    level: str = "image"
    temperature: float = 0.07
    momentum: float = 0.5  # of the memory bank
    partition: str = "first"  # Z of NCE: from the first batch, or an exponential mean
    partition_momentum: float = 0.99


CHOICES = {
    "loss": ("nce", "softmax"),
    "critic": ("dot", "bilinear"),
    "graph": ("core", "full"),
    "draw": ("batch", "sample"),
    "level": ("image", "tokens"),
    "partition": ("first", "mean"),
}


def contrastive_rules(config: ContrastiveConfig) -> dict[str, bool]:
    """Return what must hold of the numbers: message -> whether it does."""
    return {
        "objective.contrastive.negatives must not be negative": config.negatives >= 0,
        "objective.contrastive.temperature must be positive": config.temperature > 0,
        "objective.contrastive.momentum must be at least 0 and below 1": 0 <= config.momentum < 1,
        "objective.contrastive.partition_momentum must be between 0 and 1": 0
        <= config.partition_momentum
        <= 1,
    }
