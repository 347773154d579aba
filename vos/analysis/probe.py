"""What frozen features know of classes: a linear probe and nearest neighbours.

The linear probe is multinomial logistic regression, as in "Contrastive Multiview Coding" (Tian et
al., 2019); the vote of nearest neighbours is that of "Unsupervised Feature Learning via
Non-Parametric Instance Discrimination" (Wu et al., 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vos.analysis.representations import checked_names, extract, represent
from vos.backbones import Backbone
from vos.datasets.labelled import LabelledDataset
from vos.errors import UsageError

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)  # of the penalty on the squared weights
HELD_OUT = 5  # every fifth training image chooses the strength


@dataclass(frozen=True)
class LinearProbe:
    """Share of test images that a linear classifier names right, and how it was made.

    Attributes:
        accuracy: 0 to 1.
        train_accuracy: the same on the training images.
        strength: of the penalty, chosen on held-out training images.
    """

    accuracy: float
    train_accuracy: float
    strength: float


def linear_probe(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    *,
    strengths: Sequence[float] = STRENGTHS,
    iterations: int = 60,
) -> LinearProbe:
    """Fit a linear classifier to frozen features and test it.

    Features are scaled to zero mean and unit deviation over the training images. The penalty is
    the one that does best on every fifth training image after a fit to the others; the
    classifier is then fitted to all of them. L-BFGS, without any randomness.

    Args:
        train, test: features ``(N, d)`` and classes ``(N,)`` int64.
        strengths: penalties to choose from.
        iterations: of L-BFGS, each fit starting where the one before ended.

    Raises:
        UsageError: fewer than two classes, or features that do not fit the classes.
    """
    (features, labels), (test_features, test_labels) = train, test
    for name, (x, y) in (("training", train), ("test", test)):
        if x.ndim != 2 or len(x) != len(y) or len(x) == 0:
            raise UsageError(f"{name} features must be (N, d) with N classes: {tuple(x.shape)}")
    classes = int(torch.cat([labels, test_labels]).max()) + 1
    if classes < 2:
        raise UsageError("a probe needs two classes or more")
    mean, deviation = features.mean(0), features.std(0).clamp_min(1e-6)
    features, test_features = (features - mean) / deviation, (test_features - mean) / deviation
    strength = strengths[0]
    if len(strengths) > 1:
        held = torch.arange(len(labels), device=labels.device) % HELD_OUT == HELD_OUT - 1
        strength = _best_strength(features, labels, held, strengths, classes, iterations)
    classifier = nn.Linear(features.shape[1], classes).to(features)
    _fit(classifier, features, labels, strength, 2 * iterations)
    return LinearProbe(
        accuracy=_accuracy(classifier, test_features, test_labels),
        train_accuracy=_accuracy(classifier, features, labels),
        strength=strength,
    )


def _best_strength(
    features: Tensor,
    labels: Tensor,
    held: Tensor,
    strengths: Sequence[float],
    classes: int,
    iterations: int,
) -> float:
    classifier = nn.Linear(features.shape[1], classes).to(features)
    nn.init.zeros_(classifier.weight)
    nn.init.zeros_(classifier.bias)
    fitted, fitted_labels = features[~held], labels[~held]
    found: dict[float, float] = {}
    for strength in sorted(strengths, reverse=True):  # from simple to complex, warm
        _fit(classifier, fitted, fitted_labels, strength, iterations, afresh=False)
        found.setdefault(_accuracy(classifier, features[held], labels[held]), strength)
    return found[max(found)]


def _fit(
    classifier: nn.Linear,
    features: Tensor,
    labels: Tensor,
    strength: float,
    iterations: int,
    *,
    afresh: bool = True,
) -> None:
    if afresh:
        nn.init.zeros_(classifier.weight)
        nn.init.zeros_(classifier.bias)
    optimiser = torch.optim.LBFGS(
        classifier.parameters(), max_iter=iterations, history_size=10, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = functional.cross_entropy(classifier(features), labels)
        loss = loss + strength * classifier.weight.square().sum() / 2
        loss.backward()
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]


@torch.no_grad()
def _accuracy(classifier: nn.Linear, features: Tensor, labels: Tensor) -> float:
    return float((classifier(features).argmax(1) == labels).float().mean())


@torch.no_grad()
def nearest_neighbours(
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    *,
    neighbours: int = 20,
    temperature: float = 0.07,
    chunk: int = 1000,
) -> float:
    """Return the share of test images named right by a vote of their nearest neighbours.

    Nearness is the cosine s; a neighbour's vote counts ``exp(s / temperature)``.

    Args:
        train, test: features ``(N, d)`` and classes ``(N,)`` int64.
        neighbours: that vote; at most the number of training images.
        chunk: test images that are compared at a time.

    Raises:
        UsageError: no neighbour, or a temperature that is not positive.
    """
    if neighbours < 1 or temperature <= 0:
        raise UsageError("neighbours must be at least 1 and the temperature positive")
    known, labels = functional.normalize(train[0], dim=1), train[1]
    classes = int(torch.cat([labels, test[1]]).max()) + 1
    right = 0
    for features, truth in zip(test[0].split(chunk), test[1].split(chunk), strict=True):
        near = (functional.normalize(features, dim=1) @ known.T).topk(min(neighbours, len(known)))
        votes = (near.values / temperature).exp()
        tally = votes.new_zeros(len(features), classes)
        tally.scatter_add_(1, labels[near.indices], votes)
        right += int((tally.argmax(1) == truth).sum())
    return right / len(test[1])


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
    """A row per kind of features, and how many images they rest on."""

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
