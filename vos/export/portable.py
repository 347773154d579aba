"""A backbone for other runtimes: `torch.export` and ONNX, for frames of one size."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from vos.backbones import Backbone, weights_digest
from vos.backbones.runtime import onnx_program, onnx_session, require_onnx
from vos.backbones.token_centre import token_centre
from vos.errors import UsageError, VosError
from vos.files import atomic_path
from vos.version import __version__

SUFFIXES = (".onnx", ".pt2")
TOLERANCE = 1e-4


def parse_size(text: str) -> tuple[int, int]:
    """``"854x480"`` (width x height, as videos are named) as (height, width).

    Raises:
        UsageError: another form.
    """
    found = re.fullmatch(r"(\d+)x(\d+)", text.lower().replace(" ", ""))
    if not found or not 0 < int(found[1]) <= 16384 or not 0 < int(found[2]) <= 16384:
        raise UsageError(f"`size` takes WIDTHxHEIGHT in pixels, such as 854x480, not {text!r}")
    return int(found[2]), int(found[1])


def check_portable_path(path: Path) -> None:
    """Raise before the work for a file that cannot be written: UsageError, MissingError."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"`out` takes PATH.onnx or PATH.pt2, not {path}")
    if path.suffix == ".onnx":
        require_onnx()


def export_backbone(
    backbone: Backbone, path: Path, size: tuple[int, int], *, spec: str = ""
) -> dict[str, Any]:
    """Write a backbone for batches of any number of frames of one size.

    The input ``images`` is (B, 3, *size) float32 RGB in [0, 1], the output ``features``
    (B, C, ceil(H / stride), ceil(W / stride)), as of the backbone itself. What was written is
    read again and compared with it.

    Args:
        path: ``.onnx`` for ONNX, ``.pt2`` for `torch.export.load`.
        size: (height, width) in pixels.
        spec: what the backbone was loaded from, for the description.

    Returns:
        The description that is in the file as well (ONNX metadata, or the extra file
        ``vos.json``), and ``difference``: the largest, relative to the largest feature.

    Raises:
        UsageError: another suffix.
        MissingError: the extra ``onnx`` is not installed.
        VosError: the file cannot be written, or gives other features.
    """
    check_portable_path(path)
    backbone = backbone.cpu().eval()
    description = {
        "version": __version__,
        "model": spec,
        "weights_sha256": weights_digest(backbone),
        "input": "images: RGB in [0, 1], float32, (batch, 3, height, width)",
        "size": list(size),
        "stride": backbone.stride,
        "channels": backbone.channels,
        "token_centre": token_centre(backbone),
    }
    # Two of them, because a batch of one would be taken for a constant.
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = backbone(images)
        program = torch.export.export(
            backbone, (images,), dynamic_shapes=({0: Dim.DYNAMIC},), strict=False
        )
    write, run = (_write_onnx, _run_onnx) if path.suffix == ".onnx" else (_write_pt2, _run_pt2)
    with atomic_path(path) as temporary:
        write(temporary, program, images, description)
        features = run(temporary, images[:1])
        difference = (features - expected[:1]).abs().max() / expected.abs().max().clamp(min=1e-12)
        if not difference <= TOLERANCE:
            raise VosError(
                f"{path.name} would give features that differ by {float(difference):.1e}: "
                "this backbone cannot be exported"
            )
    return {**description, "difference": float(difference)}


def _write_onnx(
    path: Path, program: ExportedProgram, images: torch.Tensor, description: dict[str, Any]
) -> None:
    model = onnx_program(program, images).model_proto
    for key, value in description.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value if isinstance(value, str) else json.dumps(value)
    path.write_bytes(model.SerializeToString())


def _run_onnx(path: Path, images: torch.Tensor) -> torch.Tensor:
    (features,) = onnx_session(path.read_bytes()).run(None, {"images": images.numpy()})
    return torch.from_numpy(features)


def _write_pt2(
    path: Path, program: ExportedProgram, images: torch.Tensor, description: dict[str, Any]
) -> None:
    torch.export.save(program, path, extra_files={"vos.json": json.dumps(description)})


def _run_pt2(path: Path, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.export.load(path).module()(images)
