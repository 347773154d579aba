"""The whole of a probe: labelled images and a backbone in, accuracies out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from vos.analysis.probe import linear_probe, nearest_neighbours
from vos.analysis.representations import checked_names, extract, represent
from vos.backbones import Backbone
from vos.datasets.labelled import LabelledDataset


@dataclass(frozen=True)
class ProbeRow:
    """Accuracies, 0 to 1, of one kind of features.

    Attributes:
        features: its name, see :func:`vos.analysis.representations.represent`.
        channels: of one image.
        linear: test accuracy of the linear classifier.
        linear_train: its accuracy on the training images.
        strength: of its penalty.
        neighbours: test accuracy of the vote of nearest neighbours.
    """

    features: str
    channels: int
    linear: float
    linear_train: float
    strength: float
    neighbours: float


@dataclass(frozen=True)
class ProbeReport:
    """A row a kind of features, and how many images they rest on."""

    rows: tuple[ProbeRow, ...]
    train_images: int
    test_images: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; ``features`` by name."""
        values = asdict(self)
        values["features"] = {row.pop("features"): row for row in values.pop("rows")}
        return values


def probe(
    backbone: Backbone,
    dataset: LabelledDataset,
    *,
    names: Sequence[str] | None = None,
    pool: int = 2,
    size: int | None = None,
    per_class: int | None = None,
    neighbours: int = 20,
    batch: int = 250,
    device: torch.device | str = "cpu",
) -> ProbeReport:
    """Probe the frozen features of ``backbone`` on ``dataset``.

    Args:
        backbone: in evaluation mode, on ``device``.
        names: kinds of features; None for z1, z2, z and map, where there are.
        pool, size, batch: see :mod:`vos.analysis.representations`.
        per_class: training images of each class; None for all.
        neighbours: that vote.

    Raises:
        UsageError: an unknown kind of features, or images of several sizes.
    """
    names, look = checked_names(backbone, names), represent(backbone, pool=pool)
    train = dataset.train if per_class is None else dataset.train.subset(per_class)
    known, asked = (
        extract(images, look, names, size=size, batch=batch, device=device, description=part)
        for part, images in (("training", train), ("test", dataset.test))
    )
    labels = torch.from_numpy(train.labels).to(device)
    truth = torch.from_numpy(dataset.test.labels).to(device)
    rows = []
    for name in names:
        given, wanted = (known[name], labels), (asked[name], truth)
        linear = linear_probe(given, wanted)
        rows.append(
            ProbeRow(
                features=name,
                channels=known[name].shape[1],
                linear=linear.accuracy,
                linear_train=linear.train_accuracy,
                strength=linear.strength,
                neighbours=nearest_neighbours(given, wanted, neighbours=neighbours),
            )
        )
    return ProbeReport(tuple(rows), len(train), len(dataset.test))
