"""Extract features fast: frames as decoded in, features on the device out."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.resnet import BasicBlock, Bottleneck

from vos.backbones.adapt import AdaptedNetwork, as_backbone
from vos.backbones.base import Backbone
from vos.backbones.checkpoint import weights_digest
from vos.backbones.quantised import (
    LEAST_COSINE,
    QuantisedBackbone,
    mean_cosine,
    quantised_session,
)
from vos.backbones.runtime import (
    RUNTIMES,
    OnnxRuntime,
    Runtime,
    compile_available,
    compiled_runtime,
    onnx_available,
    require_onnx,
)
from vos.errors import UsageError, near_names
from vos.forks import let_children_compute
from vos.machine import resolve_device

Module = TypeVar("Module", bound=nn.Module)

logger = logging.getLogger(__name__)

let_children_compute()

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int8": torch.float32,  # around the integers
}
AUTO = "auto"
# Frames from which a runtime's warm-up pays, on two CPU cores at 854 x 480: an ONNX session costs
# 5 to 10 s and saves about 40 ms per frame, a compilation costs up to 30 s and saves 20 ms.
ONNX_FRAMES = 400
COMPILE_FRAMES = 2000
# Largest difference from the eager runtime, relative to the largest feature; on CUDA devices, which
# round what they convolve to tf32, two orders of the same sums differ by more.
TOLERANCE, TOLERANCE_OF_TF32 = 1e-4, 5e-3


class FeatureExtractor:
    """Runs a backbone over frames without gradients, as fast as the machine allows.

    Batch norms are folded into convolutions, images and weights are laid out channels last.
    A faster runtime is checked against the eager one on the first frame; where it fails or
    differs, the eager one goes on.

    Args:
        backbone: is copied, not changed; any other network becomes one by `as_backbone`.
        device: where to compute; the features stay there.
        precision: ``float32``, ``bfloat16`` or ``float16`` (autocast; features come as float32;
            slower than float32 on most processors; CUDA devices convolve ``float32`` in tf32
            unless PyTorch is told not to), ``int8`` where the weights come with 8-bit ones
            (see `vos.backbones.quantised`), or ``auto``: ``int8`` on a CPU where that can be had,
            else ``float32``.
        runtime: ``eager``, ``compile`` (torch.compile), ``onnx`` (ONNX Runtime, CPU and float32),
            or ``auto``: a warm-up only where ``frame_count`` is large enough to win it back.
        frame_count: frames that are going to come, where known.

    Raises:
        UsageError: unknown runtime or precision, or ones that do not go together; a function as
            the backbone whose network is on another device.
        MissingError: the device is not there, or ``onnx`` without its extra.

    Example:
        >>> import vos
        >>> extract = FeatureExtractor(vos.load("resnet18"))
        >>> extract(np.zeros((1, 480, 854, 3), np.uint8)).shape
        torch.Size([1, 256, 60, 107])
    """

    def __init__(
        self,
        backbone: Backbone,
        device: str | torch.device = "cpu",
        *,
        precision: str = "float32",
        runtime: str = "auto",
        frame_count: int | None = None,
    ) -> None:
        self.device = resolve_device(str(device))
        backbone = as_backbone(backbone)
        if isinstance(backbone, AdaptedNetwork):
            backbone.check_device(self.device)
        self.stride = backbone.stride
        self.channels = backbone.channels
        check_precision(precision)
        wanted = precision in (AUTO, "int8") and runtime == "auto" and self.device.type == "cpu"
        self._session = quantised_session(backbone, weights_digest(backbone)) if wanted else None
        self.precision = resolve_precision(precision, quantised=self._session is not None)
        self.runtime = _choose(runtime, self.device, self.precision, frame_count)
        network = fold_batch_norm(backbone).to(self.device).requires_grad_(False)
        self._eager: nn.Module = network.to(memory_format=torch.channels_last)
        self._fast: Runtime | None = None
        self._tried: set[torch.Size] = set()

    @torch.inference_mode()
    def __call__(self, frames: np.ndarray | Sequence[np.ndarray]) -> torch.Tensor:
        """Compute the features of frames of one size.

        Args:
            frames: (B, H, W, 3) uint8 RGB, or a list of B frames (H, W, 3).

        Returns:
            (B, C, ceil(H / stride), ceil(W / stride)) float32 on the device, not normalised;
            the order in memory is the network's own (channels last, mostly).

        Raises:
            UsageError: frames of another shape or type, or of several sizes.
        """
        images = _to_images(frames, self.device)
        if self.runtime != "eager" and images.shape[2:] not in self._tried:
            self._try(images[:1])
            self._tried.add(images.shape[2:])
        # By identity: a compiled network that cannot tell its length has no truth value either.
        return self._compute(self._eager if self._fast is None else self._fast, images)

    def _compute(self, run: Runtime, images: torch.Tensor) -> torch.Tensor:
        dtype = PRECISIONS[self.precision]
        lower = dtype is not torch.float32
        with torch.autocast(self.device.type, dtype if lower else torch.bfloat16, enabled=lower):
            return run(images).float()

    def _try(self, images: torch.Tensor) -> None:
        """Try the fast runtime on frames of this size; give it up where it is not right."""
        expected = self._compute(self._eager, images)
        try:
            if self._fast is None:
                self._fast = self._make()
            features = self._compute(self._fast, images)
        except Exception as error:  # whatever a compiler or an exporter may raise
            self._give_up(f"does not work here ({error})")
            return
        if features.shape != expected.shape:
            self._give_up("gives another shape")
            return
        if self.runtime == "int8":
            cosine = mean_cosine(features, expected)
            if not cosine >= LEAST_COSINE:
                self._give_up(f"gives other features (mean cosine {cosine:.3f})")
            return
        # Rounding of lower precision is not the runtime's fault.
        tolerance = self._tolerance() if self.precision == "float32" else 0.05
        difference = (features - expected).abs().max() / expected.abs().max().clamp(min=1e-12)
        if not difference <= tolerance:
            self._give_up(f"differs by {float(difference):.1e}")

    def _tolerance(self) -> float:
        rounded = self.device.type == "cuda" and torch.backends.cudnn.allow_tf32
        return TOLERANCE_OF_TF32 if rounded else TOLERANCE

    def _make(self) -> Runtime:
        if self.runtime == "int8":
            return QuantisedBackbone(self._eager, self._session)
        return OnnxRuntime(self._eager) if self.runtime == "onnx" else compiled_runtime(self._eager)

    def _give_up(self, reason: str) -> None:
        logger.debug("runtime %s %s: using eager", self.runtime, reason)
        if self.runtime == "int8":
            self.precision = "float32"
        self.runtime = "eager"
        self._fast = None


def check_precision(name: str) -> None:
    """Refuse, before any work, a precision that there is not.

    Raises:
        UsageError: it is none of ``auto``, ``float32``, ``bfloat16``, ``float16``, ``int8``.
    """
    _checked(name, "precision", [AUTO, *PRECISIONS])


def _checked(value: str, what: str, known: Sequence[str] | dict[str, torch.dtype]) -> str:
    if value not in known:
        raise UsageError(f"unknown {what} {value!r}: {near_names(value, known)}")
    return value


def resolve_precision(name: str, *, quantised: bool) -> str:
    """Return what a precision becomes where 8 bits can, or cannot, be had.

    Raises:
        UsageError: ``int8``, and they cannot.
    """
    if name == AUTO:
        return "int8" if quantised else "float32"
    if name == "int8" and not quantised:
        raise UsageError(
            "precision int8 is for the CPU, runtime auto and weights that come with int8.onnx: "
            "use float32"
        )
    return name


def _choose(runtime: str, device: torch.device, precision: str, frame_count: int | None) -> str:
    _checked(runtime, "runtime", RUNTIMES)
    plain = device.type == "cpu" and precision == "float32"
    if precision == "int8":
        return "int8"
    if runtime == "onnx" and not plain:
        raise UsageError("the onnx runtime is for the CPU in float32: use runtime='eager'")
    if runtime == "onnx":
        require_onnx()
    if runtime == "compile" and not compile_available(device):
        return "eager"
    if runtime != "auto":
        return runtime
    frames = frame_count or 0
    if plain and frames >= ONNX_FRAMES and onnx_available():
        return "onnx"
    if frames >= COMPILE_FRAMES and compile_available(device):
        return "compile"
    return "eager"


def _to_images(frames: np.ndarray | Sequence[np.ndarray], device: torch.device) -> torch.Tensor:
    """Return (B, 3, H, W) float RGB in [0, 1] on the device, channels last in memory."""
    if not isinstance(frames, np.ndarray):
        if len({frame.shape for frame in frames}) != 1:
            raise UsageError("frames of one batch must be of one size, and at least one")
        frames = np.stack(frames)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise UsageError(f"frames must be (B, H, W, 3) uint8, got {frames.shape} {frames.dtype}")
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).to(device)
    return pixels.permute(0, 3, 1, 2).to(torch.float32).div_(255)


def fold_batch_norm(network: Module) -> Module:
    """Return a copy of ``network``, in evaluation mode, with batch norms folded where that is safe.

    Safe are neighbours in a plain ``nn.Sequential`` and the blocks of torchvision's ResNets:
    there the order in which layers run is known. Layers that have a plain form (``as_plain``, such
    as group convolutions) take it first. Other layers are left as they are.
    """
    network = copy.deepcopy(network).eval()
    _make_plain(network)
    for module in list(network.modules()):
        if type(module) is nn.Sequential:
            names = list(module._modules)
            for first, second in pairwise(names):
                _fold(module, first, second)
        elif type(module) in (BasicBlock, Bottleneck):
            for index in ("1", "2", "3"):
                _fold(module, f"conv{index}", f"bn{index}")
    return network


def _make_plain(network: nn.Module) -> None:
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if hasattr(child, "as_plain"):
                setattr(module, name, child.as_plain())  # type: ignore[operator]


def _fold(parent: nn.Module, convolution: str, norm: str) -> None:
    # Exact types: subclasses may add an activation or another order.
    first, second = getattr(parent, convolution, None), getattr(parent, norm, None)
    if type(first) is nn.Conv2d and type(second) is nn.BatchNorm2d:
        setattr(parent, convolution, fuse_conv_bn_eval(first, second))
        setattr(parent, norm, nn.Identity())
