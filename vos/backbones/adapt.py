"""Any network as a backbone: its stride and channels are measured, its input is normalised."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from vos.backbones.base import Backbone, Equivariance
from vos.backbones.digest import weights_file_digest
from vos.backbones.layers import Normalise, pad_to_multiple
from vos.backbones.layers.normalise import IMAGENET_MEAN, IMAGENET_STD
from vos.errors import UsageError

log = logging.getLogger("vos")

Network: TypeAlias = "nn.Module | Callable[[Tensor], Any]"

PROBE = (224, 448)  # height and width: multiples of all usual strides and patches, 14 included
_MOST_PREFIX_TOKENS = 16  # class, distillation and register tokens before those of the patches
_PATCH_TOKENS = ("x_norm_patchtokens", "last_hidden_state")
_FORM = "a feature map is (B, C, h, w), and patch tokens are (B, N, C)"


def as_backbone(
    model: Any,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Backbone:
    """Return any network as a backbone; what has ``stride`` and ``channels`` is one already.

    The network maps (B, 3, H, W) images to (B, C, h, w) features, or to (B, N, C) patch tokens
    with class and register tokens before them. Where it has ``forward_features`` (timm, DINOv2,
    DINOv3) or ``get_intermediate_layers`` (DINO), these are asked, since ``forward`` gives classes
    there. Stride and channels are measured on an image of 224 x 448 pixels. Other frames are
    padded at the right and the bottom to multiples of the stride.

    >>> vos.as_backbone(torch.nn.Conv2d(3, 64, 8, stride=8)).stride
    8

    Args:
        model: a module, or a function from images to features. A module moves to the device that
            is asked for; what a function holds stays where it is.
        mean, std: of each colour, in [0, 1], by which RGB is normalised. Left out, those that a
            timm model says, else those of ImageNet. A network that normalises by itself wants
            ``mean=(0, 0, 0), std=(1, 1, 1)``.

    Returns:
        The backbone, whose ``network`` is ``model``. A line of the logger ``vos`` tells stride,
        channels and normalisation.

    Raises:
        UsageError: no network, a class instead of one, or one without a feature map that is
            aligned with its image; the message says what it gave.
    """
    if isinstance(model, nn.Module) and hasattr(model, "channels") and _is_stride(model):
        return model  # type: ignore[return-value]  # as good as a Backbone
    if isinstance(model, type):
        name = model.__qualname__
        raise UsageError(f"model is the class {name}, no network: give {name}(...)")
    if not callable(model):
        raise UsageError(
            f"model is of type {type(model).__name__}: give what vos.load takes, a module, or a "
            "function from images to a feature map"
        )
    told = getattr(model, "pretrained_cfg", None)
    told = told if isinstance(told, Mapping) else {}
    normalise = Normalise(
        _colours("mean", mean or told.get("mean") or IMAGENET_MEAN),
        _colours("std", std or told.get("std") or IMAGENET_STD),
    )
    adapted = AdaptedNetwork(model, normalise)
    log.info(
        "%s: %d pixels per token, %d channels, RGB normalised by mean %s and deviation %s",
        getattr(model, "__name__", type(model).__name__),
        adapted.stride,
        adapted.channels,
        _listed(normalise.mean),
        _listed(normalise.std),
    )
    return adapted


class AdaptedNetwork(Backbone):
    """A network of any kind behind the contract of backbones; made by `as_backbone`.

    Raises:
        UsageError: it gives no feature map aligned with its image.
    """

    def __init__(self, network: Callable[..., Any], normalise: Normalise) -> None:
        super().__init__()
        self.network = network
        self.normalise = normalise
        # With the weights, so that a run of another network is never taken for one of this.
        self.register_buffer("code", _fingerprint(network))
        self.stride = 1
        self._prefix_tokens = 0
        self._measure()
        self.equivariance = Equivariance(
            group=f"translation by multiples of {self.stride} pixels",
            exact=False,
            output="the token grid shifts",
            depends_on="the network, about which nothing is known",
        )

    def forward(self, images: Tensor) -> Tensor:
        images = pad_to_multiple(self.normalise(images), self.stride)
        features = self._features(images)
        if features.ndim == 4:
            return features
        rows, columns = (side // self.stride for side in images.shape[-2:])
        tokens = features[:, self._prefix_tokens :]
        return tokens.transpose(1, 2).unflatten(2, (rows, columns))

    def _features(self, images: Tensor) -> Tensor:
        if hasattr(self.network, "forward_features"):
            return _tensor_of(self.network.forward_features(images))
        if hasattr(self.network, "get_intermediate_layers"):
            return _tensor_of(self.network.get_intermediate_layers(images, n=1))
        return _tensor_of(self.network(images))

    def check_device(self, device: torch.device) -> None:
        """Refuse a device that a function's network is not on: it cannot be moved there from here.

        Raises:
            UsageError: it is on another one.
        """
        held = next(_tensors_of(self.network), None)
        if isinstance(self.network, nn.Module) or held is None:
            return
        if held.device.type != device.type:
            raise UsageError(
                f"the function's network is on {held.device.type}, and features are computed on "
                f"{device.type}: move it there, choose device {held.device.type}, or give the "
                "network itself as the model"
            )

    def _measure(self) -> None:
        """Find stride and channels on one image, in evaluation mode."""
        height, width = PROBE
        device = next(_tensors_of(self.network), torch.zeros(0)).device
        training = getattr(self.network, "training", False)
        self.to(device).eval()
        try:
            with torch.no_grad():
                found = self._features(self.normalise(torch.rand(1, 3, *PROBE, device=device)))
        except (AssertionError, RuntimeError, ValueError, TypeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UsageError(
                f"the network cannot be run on an image of {width} x {height} pixels ({reason}): "
                "it must take (B, 3, H, W) floats of any size; timm's transformers do with "
                "dynamic_img_size=True"
            ) from error
        finally:
            self.train(training)
        shape = tuple(found.shape)
        if found.ndim == 4:
            self.channels = shape[1]
            self.stride = height // shape[2] if shape[2] else 0
            if not self.stride or shape[2:] != (height // self.stride, width // self.stride):
                raise _no_map(shape, "which is no whole number of pixels per token; pad the layers")
            return
        if found.ndim != 3:
            raise _no_map(shape, "cut its head off: give a module that ends in the feature map")
        self.channels = shape[2]
        fitting = {
            stride: shape[1] - (height // stride) * (width // stride) for stride in _strides()
        }
        fitting = {key: rest for key, rest in fitting.items() if 0 <= rest <= _MOST_PREFIX_TOKENS}
        if not fitting:
            raise _no_map(shape, "and no patch size gives so many tokens")
        self.stride, self._prefix_tokens = min(fitting.items(), key=lambda pair: pair[1])


def _strides() -> Iterable[int]:
    return (stride for stride in range(1, 65) if not (PROBE[0] % stride or PROBE[1] % stride))


def _no_map(shape: tuple[int, ...], what: str) -> UsageError:
    height, width = PROBE
    return UsageError(
        f"the network gives {shape} for an image of {width} x {height} pixels, {what}; {_FORM}"
    )


def _tensor_of(found: Any) -> Tensor:
    """Return the features among what a network gave: a tensor, the last of several, or by name."""
    if isinstance(found, Tensor):
        return found
    if isinstance(found, Mapping):
        names = [name for name in _PATCH_TOKENS if name in found] or list(found)
        if len(names) == 1:
            return _tensor_of(found[names[0]])
        raise UsageError(f"the network gives {', '.join(map(str, names))}: return one of them")
    if isinstance(found, list | tuple) and found:
        return _tensor_of(found[-1])
    raise UsageError(f"the network gives {type(found).__name__}, no tensor: {_FORM}")


def _fingerprint(network: Any) -> Tensor:
    """Return (32,) uint8 that tell what is computed, weights apart: two networks may have none."""
    function = type(network).forward if isinstance(network, nn.Module) else network
    told = [repr(network) if isinstance(network, nn.Module) else ""]
    code = getattr(function, "__code__", None)
    if code is not None:
        constants = [each for each in code.co_consts if not hasattr(each, "co_code")]
        told += [code.co_code.hex(), repr(code.co_names), repr(constants)]
    for cell in getattr(function, "__closure__", None) or ():
        held = cell.cell_contents
        if isinstance(held, nn.Module):
            told.append(repr(held) + weights_file_digest(held.state_dict()))
        elif isinstance(held, int | float | str | tuple):
            told.append(repr(held))
    digest = hashlib.sha256("\n".join(told).encode()).digest()
    return torch.tensor(list(digest), dtype=torch.uint8)


def _modules_of(network: Any) -> Iterator[nn.Module]:
    """A module, or those that a function closes over or is a method of."""
    if isinstance(network, nn.Module):
        yield network
        return
    cells = getattr(network, "__closure__", None) or ()
    held = [getattr(network, "__self__", None), *(cell.cell_contents for cell in cells)]
    yield from (each for each in held if isinstance(each, nn.Module))


def _tensors_of(network: Any) -> Iterator[Tensor]:
    for module in _modules_of(network):
        yield from module.parameters()
        yield from module.buffers()


def _is_stride(model: nn.Module) -> bool:
    return isinstance(getattr(model, "stride", None), int)


def _colours(what: str, values: Sequence[float]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != 3 or (what == "std" and min(numbers) <= 0):
        raise UsageError(f"{what} is a number per colour, such as (0.5, 0.5, 0.5), not {values!r}")
    return numbers


def _listed(values: Tensor) -> str:
    return ", ".join(f"{value:.3g}" for value in values.flatten().tolist())
