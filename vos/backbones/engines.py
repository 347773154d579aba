"""Ways to run a backbone without gradients: eager, compiled, ONNX Runtime.

An engine is a function from images (B, 3, H, W), float RGB in [0, 1], to features
(B, C, h, w). Each is made from a network in evaluation mode.
"""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import warnings
from collections.abc import Callable

import torch
from torch import nn

from vos.errors import MissingError
from vos.machine import processors

Engine = Callable[[torch.Tensor], torch.Tensor]

ENGINES = ("auto", "eager", "compile", "onnx")


def onnx_available() -> bool:
    """Whether the extra ``onnx`` is installed."""
    return all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))


def compile_available(device: torch.device) -> bool:
    """Whether torch.compile can find what it needs: a C++ compiler, or Triton on a GPU."""
    if device.type == "cuda":
        return importlib.util.find_spec("triton") is not None
    names = (os.environ.get("CXX", ""), "c++", "g++", "clang++")
    return device.type == "cpu" and any(name and shutil.which(name) for name in names)


def compiled_engine(network: nn.Module) -> Engine:
    """torch.compile for frames of one size; a new size is compiled anew."""
    return torch.compile(network, dynamic=False)


class OnnxEngine:
    """ONNX Runtime on the CPU: one session a frame size, exported on first use.

    Raises:
        MissingError: the extra is not installed.
    """

    def __init__(self, network: nn.Module) -> None:
        if not onnx_available():
            raise MissingError("ONNX Runtime is not installed: pip install 'vos-propagation[onnx]'")
        self.network = network
        self.sessions: dict[tuple[int, int], object] = {}

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        size = (images.shape[2], images.shape[3])
        if size not in self.sessions:
            self.sessions[size] = self._export(images[:1])
        (features,) = self.sessions[size].run(  # type: ignore[attr-defined]
            None, {"images": images.contiguous().numpy()}
        )
        return torch.from_numpy(features)

    def _export(self, images: torch.Tensor) -> object:
        # The size is fixed, since padding to a stride is arithmetic on sizes that a trace freezes.
        import onnxruntime

        model = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                self.network,
                (images.contiguous(),),
                model,  # type: ignore[arg-type]
                input_names=["images"],
                output_names=["features"],
                dynamic_axes={"images": {0: "batch"}, "features": {0: "batch"}},
                dynamo=False,
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = min(processors(), torch.get_num_threads())
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(
            model.getvalue(), options, providers=["CPUExecutionProvider"]
        )
