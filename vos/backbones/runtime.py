"""Ways to run a backbone without gradients: eager, compiled, ONNX Runtime.

A runtime is a function from images (B, 3, H, W), float RGB in [0, 1], to features
(B, C, h, w). Each is made from a network in evaluation mode.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram

from vos.errors import MissingError
from vos.machine import processors, triton_works

Runtime = Callable[[torch.Tensor], torch.Tensor]

RUNTIMES = ("auto", "eager", "compile", "onnx")


def onnx_available() -> bool:
    """Return whether the extra ``onnx`` is installed."""
    return all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime", "onnxscript"))


def require_onnx() -> None:
    """Raise MissingError, with the line that installs it, where the extra ``onnx`` is missing."""
    if not onnx_available():
        raise MissingError("ONNX Runtime is missing: pip install 'vos-propagation[onnx]'")


def compile_available(device: torch.device) -> bool:
    """Return whether torch.compile can find what it needs: a C++ compiler, or Triton on a GPU."""
    if device.type == "cuda":
        return triton_works()
    names = (os.environ.get("CXX", ""), "c++", "g++", "clang++")
    return device.type == "cpu" and any(name and shutil.which(name) for name in names)


def compiled_runtime(network: nn.Module) -> Runtime:
    """Compile a network for frames of one size; a new size is compiled anew."""
    return torch.compile(network, dynamic=False)


class OnnxRuntime:
    """Run a network in ONNX Runtime on the CPU: one session per frame size, exported on first use.

    Frames run one after another: on a CPU a batch gains nothing, and a fixed shape lets the
    exporter resolve all arithmetic on sizes.

    Raises:
        MissingError: the extra is not installed.
    """

    def __init__(self, network: nn.Module) -> None:
        require_onnx()
        self.network = network
        self.sessions: dict[torch.Size, Any] = {}

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        size = images.shape[2:]
        if size not in self.sessions:
            program = onnx_program(self.network, images[:1].contiguous())
            self.sessions[size] = onnx_session(program.model_proto.SerializeToString())
        return run_session(self.sessions[size], images)


def run_session(session: Any, images: torch.Tensor) -> torch.Tensor:
    """Run (B, 3, H, W) images through an ONNX Runtime session, one after another."""
    pixels = images.contiguous().numpy()
    features = [
        session.run(None, {"images": pixels[index : index + 1]})[0] for index in range(len(pixels))
    ]
    return torch.from_numpy(features[0] if len(features) == 1 else np.concatenate(features))


def onnx_program(
    network: nn.Module | ExportedProgram,
    images: torch.Tensor,
    dynamic_shapes: tuple[dict[int, Any], ...] | None = None,
) -> Any:
    """Export a network (for batches and frames like ``images``) or a program to ONNX.

    Input and output are called ``images`` and ``features``.

    Args:
        dynamic_shapes: the axes of ``images`` that may have other lengths later, as
            ``torch.onnx.export`` takes them.

    Returns:
        A ``torch.onnx.ONNXProgram``; its ``model_proto`` is the model.
    """
    # The exporter describes its steps at length; failures come as exceptions all the same.
    exporter_log = logging.getLogger("torch.onnx")
    level = exporter_log.level
    exporter_log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                (images,),
                input_names=["images"],
                output_names=["features"],
                dynamic_shapes=dynamic_shapes,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    finally:
        exporter_log.setLevel(level)
    assert program is not None
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # where in whose source code it was: paths of this machine
    return program


def onnx_session(model: bytes) -> Any:
    """Open an ONNX Runtime session on the CPU, with as many threads as torch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(processors(), torch.get_num_threads())
    options.log_severity_level = 3
    # Threads that wait for the next frame must leave their cores to propagation.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
