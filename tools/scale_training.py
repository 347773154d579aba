"""Do networks tell images apart at any scale, and how equivariant are they then?

The experiment of the scale-equivariance source: small networks of several kinds are trained on
images zoomed out at random; measured are accuracy and equivariance error against the zoom.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from scale_images import ImageTensors, load_images, random_zooms, scale_task, zoomed_out
from torch import Tensor, nn
from torch.nn import functional

from vos.analysis.equivariance import ZOOMS, frame_side, measure
from vos.analysis.transformations import Transformation
from vos.backbones import Backbone, load
from vos.files import read_json, write_json
from vos.progress import progress

CLASSES = 10
CANVAS = 144  # pixels: room for zooming out by 3 and a border besides
MEASURED = 32  # images that the equivariance error is measured on
TIMED = 64


@dataclass(frozen=True)
class Case:
    """One network on one task.

    Attributes:
        task: ``mnist`` or ``cifar``.
        model: spec of the backbone.
        rate: initial learning rate of Adam, which falls along a cosine.
        epochs: passes over the training images.
        train: training images.
        test: test images.
        batch: images a step.
        seed: of weights, zooms and order.
    """

    task: str
    model: str
    rate: float = 2e-3
    epochs: int = 4
    train: int = 10_000
    test: int = 10_000
    batch: int = 64
    seed: int = 0

    @property
    def file(self) -> str:
        """Name of the file that holds its result."""
        name = "-".join(f"{key}={value}" for key, value in asdict(self).items())
        return "".join(c if c.isalnum() or c in "-=.," else "_" for c in name) + ".json"


class Classifier(nn.Module):
    """A backbone, the mean over its tokens, and a linear layer."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.last = nn.Linear(backbone.channels, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, 10) scores."""
        return self.last(self.backbone(images).mean(dim=(2, 3)))


def run_case(case: Case, images: Path, out: Path) -> dict[str, Any]:
    """The result of a case, computed unless ``out`` holds it already.

    Keys: those of the case, ``parameters``, ``accuracy`` (on the test set zoomed at random),
    ``accuracies`` and ``errors`` (lists along :data:`ZOOMS`), ``milliseconds`` (an image, in
    evaluation), ``seconds`` (of training), ``loss`` (the last epoch's mean).

    Args:
        images: folder of the data files.
        out: folder of the results, one file a case.
    """
    path = out / case.file
    if path.is_file():
        return read_json(path)
    train = load_images(case.task, images, "train", case.train)
    test = load_images(case.task, images, "test", case.test)
    torch.manual_seed(case.seed)
    torch.set_flush_denormal(True)
    model = Classifier(load(case.model, seed=case.seed))
    started = time.perf_counter()
    loss = fit(model, train, case)
    seconds = time.perf_counter() - started
    model.eval()
    scaled = scale_task(test, case.seed + 1)
    result = {
        **asdict(case),
        "parameters": sum(item.numel() for item in model.parameters()),
        "loss": loss,
        "accuracy": accuracy(model, scaled),
        "zooms": list(ZOOMS),
        "accuracies": [accuracy(model, zoom(test, factor)) for factor in ZOOMS],
        "errors": zoom_errors(model.backbone, test.images[:MEASURED]),
        "milliseconds": 1e3 * seconds_an_image(model, test.images[:TIMED]),
        "seconds": seconds,
    }
    write_json(path, result)
    return result


def fit(model: Classifier, data: ImageTensors, case: Case) -> float:
    """Train with Adam, each image zoomed anew each time; returns the last epoch's mean loss."""
    steps = case.epochs * max(1, len(data.labels) // case.batch)
    optimiser = torch.optim.Adam(model.parameters(), lr=case.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    generator = torch.Generator().manual_seed(case.seed)
    model.train()
    losses: list[float] = []
    bar = progress(total=steps, description=case.model, unit="step")
    for _ in range(case.epochs):
        losses = []
        order = torch.randperm(len(data.labels), generator=generator)
        for chosen in order.split(case.batch):
            if len(chosen) < case.batch:
                break
            zooms = random_zooms(len(chosen), generator)
            scores = model(zoomed_out(data.images[chosen], zooms))
            loss = functional.cross_entropy(scores, data.labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
            bar.update()
    bar.close()
    return sum(losses) / max(1, len(losses))


@torch.inference_mode()
def accuracy(model: Classifier, data: ImageTensors) -> float:
    """Share of images whose label has the highest score."""
    right = 0
    for images, labels in zip(data.images.split(250), data.labels.split(250), strict=True):
        right += int((model(images).argmax(dim=1) == labels).sum())
    return right / len(data.labels)


def zoom(data: ImageTensors, factor: float) -> ImageTensors:
    """All images zoomed out by one factor."""
    factors = torch.full((len(data.labels),), factor)
    return ImageTensors(zoomed_out(data.images, factors), data.labels)


def zoom_errors(backbone: Backbone, images: Tensor) -> list[float]:
    """Equivariance error for each of :data:`ZOOMS`, the images on a wide black canvas."""
    side = frame_side(backbone, CANVAS)
    before = (side - images.shape[-1]) // 2
    after = side - images.shape[-1] - before
    canvas = functional.pad(images, (before, after, before, after))
    zooms = [Transformation("zoom", factor) for factor in ZOOMS]
    found = measure(backbone, canvas, zooms)
    return [item.inside if item.inside is not None else float("nan") for item in found]


@torch.inference_mode()
def seconds_an_image(model: Classifier, images: Tensor) -> float:
    """Best of five runs over a batch, the images' number taken out."""
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        model(images)
        best = min(best, time.perf_counter() - started)
    return best / len(images)


def sweep(task: str, model: str, **common: Any) -> dict[str, list[Case]]:
    """One parameter of a scale-space model at a time: name -> cases."""
    values: dict[str, tuple[float, ...]] = {
        "base": (1.2, 1.6, 2.0),
        "width": (4, 8, 16),
        "interaction": (1, 2),
        "scales": (1, 2, 3, 4),
    }
    cases = {
        name: [Case(task, f"{model},{name}={value:g}", **common) for value in options]
        for name, options in values.items()
    }
    cases["rate"] = [Case(task, model, **{**common, "rate": rate}) for rate in (5e-4, 2e-3, 8e-3)]
    return cases


def table(results: list[dict[str, Any]]) -> str:
    """Format results as Markdown, one line per case."""
    columns = [
        "task", "model", "rate", "parameters", "ms / image", "accuracy", "at zoom 1", "at zoom 3",
        "error at 1.5", "error at 3",
    ]  # fmt: skip
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for row in results:
        at = dict(
            zip(row["zooms"], zip(row["accuracies"], row["errors"], strict=True), strict=True)
        )
        lines.append(
            f"| {row['task']} | {row['model']} | {row['rate']:g} | {row['parameters']:,} | "
            f"{row['milliseconds']:.2f} | {row['accuracy']:.3f} | {at[1.0][0]:.3f} | "
            f"{at[3.0][0]:.3f} | {at[1.5][1]:.3f} | {at[3.0][1]:.3f} |"
        )
    return "\n".join(lines) + "\n"
