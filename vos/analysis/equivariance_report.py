"""The equivariance of a backbone as a report: what it says, what was measured, tables, a figure."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vos.analysis.equivariance import (
    EXACT,
    NETWORK,
    Measurement,
    first_broken,
    frame_side,
    measure,
    summary,
)
from vos.analysis.transformations import Transformation
from vos.backbones import Backbone, load
from vos.datasets import open_dataset
from vos.errors import MissingError, UsageError
from vos.files import atomic_path, write_json
from vos.media import open_video
from vos.media.listing import in_natural_order, is_image
from vos.propagation.frame_size import resize_frame
from vos.runs.folder import RunFolder

APPROXIMATE = 0.1  # of the energy of the features
FLOOR = 1e-14  # of the figure: rounding


@dataclass(frozen=True)
class EquivarianceReport:
    """What :func:`report_equivariance` found.

    Attributes:
        model: spec.
        says: the equivariance that the backbone states, as a mapping.
        images: number of images.
        side: of the square frames, in pixels.
        margin: pixels from the border that count as border.
        summary: largest errors of the network, see :func:`vos.analysis.equivariance.summary`.
        broken: symmetry -> name of the first layer that breaks it, for the symmetries that the
            network's group promises to be exact; empty if it keeps its word.
        measurements: every number.
    """

    model: str
    says: dict[str, Any]
    images: int
    side: int
    margin: float
    summary: dict[str, float]
    broken: dict[str, str]
    measurements: tuple[Measurement, ...]

    def save(self, folder: Path) -> None:
        """Write ``equivariance.json``, ``equivariance.csv`` and ``equivariance.png``.

        Raises:
            UsageError: the folder holds files that are not of such a report.
        """
        files = [folder / f"equivariance.{ending}" for ending in ("json", "csv", "png")]
        run = RunFolder.open(folder, {"command": "equivariance"}, overwrite=None)
        with run.writing(*files):
            self._write(folder)

    def _write(self, folder: Path) -> None:
        write_json(folder / "equivariance.json", asdict(self))
        with (
            atomic_path(folder / "equivariance.csv") as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.writer(file)
            writer.writerow([item.name for item in fields(Measurement)])
            writer.writerows(asdict(item).values() for item in self.measurements)
        draw(self, folder / "equivariance.png")


def report_equivariance(
    spec: str,
    *,
    images: Sequence[Path] = (),
    count: int = 2,
    side: int = 256,
    margin: float | None = None,
    layers: int = 1,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> EquivarianceReport:
    """Measure a backbone on real images.

    Args:
        spec: what :func:`vos.load` takes.
        images: image files, folders of them, or videos (their first frame); the sample
            when empty.
        count: images to use at most.
        side: largest side of the square frames.
        margin: see :func:`vos.analysis.equivariance.measure`.
        layers: levels of nested modules to report besides the network.
        seed: of random weights.
        device: where to compute.

    Raises:
        UsageError: an unknown model, a side that is too small.
        MissingError: no image at a path.
    """
    backbone = load(spec, seed=seed, device=device)
    side = frame_side(backbone, side)
    pictures = load_squares(images, count, side).to(device)
    found = measure(backbone, pictures, margin=margin, layers=layers)
    return EquivarianceReport(
        model=spec,
        says=asdict(backbone.equivariance),
        images=len(pictures),
        side=side,
        margin=side / 4 if margin is None else margin,
        summary=summary(found),
        broken=violated_symmetries(backbone, pictures),
        measurements=tuple(found),
    )


def violated_symmetries(backbone: Backbone, images: torch.Tensor) -> dict[str, str]:
    """Map each violated exact symmetry to the first layer that breaks it.

    Only networks of group convolutions promise any that hold up to the border: quarter turns if
    the group has them, mirror images if it has them.
    """
    group = getattr(getattr(backbone, "fields", None), "group", None)
    if group is None:
        return {}
    promised = {}
    if group.rotations % 4 == 0:
        promised["quarter turns"] = Transformation("rotation", 90)
    if group.mirrors:
        promised["mirror"] = Transformation("mirror", 1)
    found = {name: first_broken(backbone, images, item) for name, item in promised.items()}
    return {name: layer for name, layer in found.items() if layer is not None}


def verdict(error: float) -> str:
    """Return ``exact`` (rounding), ``approximate`` or ``not kept``."""
    if error <= EXACT:
        return "exact"
    return "approximate" if error <= APPROXIMATE else "not kept"


def load_squares(paths: Sequence[Path], count: int, side: int) -> torch.Tensor:
    """Load the middle squares of images, resized: (count, 3, side, side) RGB in [0, 1].

    Raises:
        MissingError: a path that does not exist, or a folder without images.
        UsageError: fewer than one image asked for.
    """
    if count < 1:
        raise UsageError(f"at least one image is needed, got {count}")
    if paths:
        frames = [open_video(path)[0] for path in _files(paths)[:count]]
    else:
        frames = [sequence.frame(0) for sequence in open_dataset("sample").sequences[:count]]
    squares = [_square(frame, side) for frame in frames]
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 255


def _files(paths: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = in_natural_order(filter(is_image, path.iterdir()))
            if not inside:
                raise MissingError(f"no image in {path}: pass `images` with images or videos")
            files += inside
        elif path.is_file():
            files.append(path)
        else:
            raise MissingError(f"no image at {path}: pass `images` with an existing path")
    return files


def _square(frame: np.ndarray, side: int) -> np.ndarray:
    height, width = frame.shape[:2]
    short = min(height, width)
    size = (round(height * side / short), round(width * side / short))
    resized = resize_frame(frame, size, "area")
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    return resized[top : top + side, left : left + side]


def draw(report: EquivarianceReport, path: Path) -> None:
    """Draw errors against zoom, angle and shift: the network in black, its layers in colour."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    panels = {
        "zoom": "zooming out by",
        "rotation": "turn (degrees)",
        "translation": "shift (pixels)",
        "roll": "cyclic shift (pixels)",
    }
    layers = list(dict.fromkeys(item.layer for item in report.measurements))
    colours = pyplot.get_cmap("viridis")(np.linspace(0, 0.9, max(1, len(layers) - 1)))
    figure, axes = pyplot.subplots(2, 2, figsize=(10, 6.5), layout="constrained", sharey=True)
    for (kind, label), panel in zip(panels.items(), axes.flat, strict=True):
        for index, layer in enumerate(layers):
            curve = [
                item for item in report.measurements if (item.layer, item.kind) == (layer, kind)
            ]
            if layer == NETWORK:
                _line(panel, curve, "border", color="grey", linestyle="--", label="network, border")
                _line(panel, curve, "inside", color="black", linewidth=2, label="network, inside")
            else:
                _line(panel, curve, "inside", color=colours[index], linewidth=1, label=layer)
        panel.set_yscale("log")
        panel.set_ylim(FLOOR / 3, 10)
        panel.axhline(EXACT, color="tab:green", linestyle=":", linewidth=1)
        panel.set_xlabel(label)
        panel.grid(alpha=0.3)
    for panel in axes[:, 0]:
        panel.set_ylabel("relative squared error")
    handles, labels = axes[0, 1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize="small")
    figure.suptitle(f"{report.model}, images of {report.side} x {report.side} pixels")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=90)
    pyplot.close(figure)


def _line(panel: Any, curve: Sequence[Measurement], which: str, **style: Any) -> None:
    told = [item for item in curve if not Transformation(item.kind, item.amount).is_identity]
    points = [(item.amount, getattr(item, which)) for item in told]
    shown = [(amount, max(error, FLOOR)) for amount, error in points if error is not None]
    if shown:
        panel.plot(*zip(*shown, strict=True), marker=".", **style)
