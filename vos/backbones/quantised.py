"""A backbone in 8-bit integers, whose frames take about two fifths less time on a processor.

Weights and activations become integers with a scale each (weights one per channel), found once from
some frames and kept in a file beside the weights, `int8.onnx`, which ONNX Runtime executes. Weights
take 7 bits: so no sum of products overflows 16 bits on processors without instructions of their own
for this, and all processors give the same features.

What is not learnt (the descriptor of colour, lengths) stays in float32.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic
-Only Inference", CVPR 2018, as ONNX Runtime does it (static, QDQ).
"""

from __future__ import annotations

import copy
import importlib.util
import logging
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from vos.backbones.base import Backbone
from vos.backbones.runtime import onnx_program, onnx_session, require_onnx, run_session
from vos.errors import UsageError
from vos.files import atomic_path

QUANTISED_NAME = "int8.onnx"
DIGEST = "weights"  # key in the file's metadata: the SHA-256 of the weights it was made from
LEAST_COSINE = 0.99  # mean over the tokens of a frame, between features in 8 bits and in float32


class _Learnt(Protocol):
    """A backbone whose learnt part can be replaced, such as a ResNet."""

    def learnt_features(self, images: torch.Tensor) -> torch.Tensor: ...


class QuantisedBackbone:
    """Runs a backbone with its learnt part in 8 bits, on the CPU.

    Args:
        network: ready for inference; it is shared, not changed.
        session: what `quantised_session` gave for its weights.
    """

    def __init__(self, network: nn.Module, session: Any) -> None:
        self._network = copy.copy(network)
        # Where a method is looked up, an instance comes before its class.
        self._network.learnt_features = partial(run_session, session)  # type: ignore[assignment]

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) float RGB in [0, 1] -> (B, C, h, w) features."""
        return cast("torch.Tensor", self._network(images))


def quantised_session(backbone: Backbone, digest: str) -> Any:
    """Open the learnt part of a backbone in 8 bits.

    Args:
        digest: SHA-256 of its weights (`vos.backbones.weights_digest`).

    Returns:
        An ONNX Runtime session; None where no such file lies beside just these weights, or it
        cannot be executed here.
    """
    path: Path | None = getattr(backbone, "quantised", None)
    if path is None or importlib.util.find_spec("onnxruntime") is None:
        return None
    try:
        session = onnx_session(path.read_bytes())
    except Exception:  # a damaged file, whatever the library says of it
        return None
    return session if session.get_modelmeta().custom_metadata_map.get(DIGEST) == digest else None


def mean_cosine(features: torch.Tensor, expected: torch.Tensor) -> float:
    """Mean over all tokens of the cosine between two maps (B, C, h, w)."""
    return float(functional.cosine_similarity(features, expected, dim=1).mean())


def quantise(backbone: Backbone, digest: str, frames: Iterable[np.ndarray], path: Path) -> Path:
    """Write the learnt part of a backbone in 8 bits.

    Args:
        backbone: with a learnt part (`learnt_features`), in evaluation mode.
        digest: SHA-256 of its weights (`vos.backbones.weights_digest`).
        frames: (H, W, 3) uint8 RGB; the range of each activation is taken from them, so they
            should be like those to come. A dozen of several videos will do.
        path: of the file, `int8.onnx` in the folder of the checkpoint.

    Raises:
        MissingError: the extra ``onnx`` is missing.
        UsageError: no learnt part, or no frames.
    """
    require_onnx()
    if not hasattr(backbone, "learnt_features"):
        raise UsageError(f"{type(backbone).__name__} has no learnt part to quantise")
    pixels = [_as_images(frame) for frame in frames]
    if not pixels:
        raise UsageError("no frames to find the range of activations with")

    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it recommends what is done
    try:
        with tempfile.TemporaryDirectory() as folder, atomic_path(path) as written:
            plain, prepared = Path(folder) / "plain.onnx", Path(folder) / "prepared.onnx"
            plain.write_bytes(_exported(cast("Any", backbone), pixels[0]))
            quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(prepared),
                str(written),
                _Frames(pixels),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_exclude=_first_convolution(prepared),
            )
            _write_digest(written, digest)
    finally:
        root.setLevel(level)
    return path


class _Frames:
    """What ONNX Runtime calibrates with: an input at a time, then None."""

    def __init__(self, images: list[np.ndarray]) -> None:
        self._rest: Iterator[np.ndarray] = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        images = next(self._rest, None)
        return None if images is None else {"images": images}


class _LearntPart(nn.Module):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return cast("_Learnt", self.backbone).learnt_features(images)


def _exported(backbone: nn.Module, images: np.ndarray) -> bytes:
    """Return the learnt part as ONNX, for frames of any size."""
    sides = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    part = _LearntPart(backbone).eval()
    program = onnx_program(part, torch.from_numpy(images), (sides,))
    return cast("bytes", program.model_proto.SerializeToString())


def _first_convolution(path: Path) -> list[str]:
    """Return its name: it sees the pixels, which 8 bits hold, but few channels to average over."""
    import onnx

    nodes = onnx.load(str(path)).graph.node
    return [next(node.name for node in nodes if node.op_type == "Conv")]


def _write_digest(path: Path, digest: str) -> None:
    import onnx

    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {DIGEST: digest})
    onnx.save(model, str(path))


def _as_images(frame: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(frame.transpose(2, 0, 1)[None], np.float32) / 255
