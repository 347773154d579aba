"""``timm:MODEL``: any timm model as a backbone, DINO, DINOv2 and DINOv3 included.

Vision transformers give their grid of patch tokens (class and register tokens dropped, position
embeddings interpolated to the frame); convolutional and hierarchical networks give a stage.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vos.backbones.base import Backbone, Equivariance
from vos.backbones.hub import hub_download
from vos.backbones.layers import Normalise, pad_to_multiple
from vos.backbones.registry import family
from vos.backbones.weight_files import read_weights, without_prefix
from vos.errors import UsageError, VosError, near_names

MAX_STRIDE = 16


class TimmTokens(Backbone):
    """The patch tokens of one block of a timm transformer, after the final norm.

    Args:
        model: a timm model with ``forward_intermediates`` and one resolution.
        layer: the block, from 1; 0 for the last.
        normalise: the model's own input normalisation.
    """

    def __init__(self, model: Any, layer: int, normalise: Normalise) -> None:
        super().__init__()
        blocks = len(model.feature_info)
        if not 0 <= layer <= blocks:
            raise UsageError(f"this transformer has layers 1 to {blocks}, got {layer}")
        self.layer = (layer or blocks) - 1
        self.model = model
        self.model.prune_intermediate_layers([self.layer], prune_norm=False, prune_head=True)
        self.normalise = normalise
        self.stride = int(model.feature_info[self.layer]["reduction"])
        self.channels = int(model.feature_info[self.layer]["num_chs"])
        self.equivariance = Equivariance(
            group=f"translation by multiples of {self.stride} pixels",
            exact=False,
            output="the token grid shifts",
            depends_on="position embeddings and attention over the whole frame, which break it",
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = pad_to_multiple(self.normalise(images), self.stride)
        return self.model.forward_intermediates(
            images, indices=[self.layer], norm=True, output_fmt="NCHW", intermediates_only=True
        )[0]


class TimmStage(Backbone):
    """One stage of a convolutional or hierarchical timm model.

    Args:
        model: made with ``features_only=True`` and one output.
        normalise: the model's own input normalisation.
    """

    def __init__(self, model: Any, normalise: Normalise) -> None:
        super().__init__()
        self.model = model
        self.normalise = normalise
        self.stride = int(model.feature_info.reduction()[0])
        self.channels = int(model.feature_info.channels()[0])
        self.channels_last = getattr(model, "output_fmt", "NCHW") == "NHWC"
        self.equivariance = Equivariance(
            group=f"translation by multiples of {self.stride} pixels",
            exact=False,
            output="the token grid shifts",
            depends_on="exact inside the frame for plain convolutions; squeeze-and-excitation, "
            "attention and window partitions look at the whole frame",
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.model(pad_to_multiple(self.normalise(images), self.stride))[0]
        return features.permute(0, 3, 1, 2) if self.channels_last else features


@family("timm", "any timm model, its publisher's weights", prefix=True)
def timm_backbone(name: str, pretrained: bool = True, layer: int = 0, file: str = "") -> Backbone:
    """Build a timm model by name.

    Args:
        name: as in ``timm.list_models()``, with or without the tag of its weights.
        pretrained: fetch the publisher's weights; otherwise random ones.
        layer: block of a transformer or stage of a network, from 1. 0 takes the last block, or
            the deepest stage with a stride of 16 pixels at most.
        file: local file of weights, as the publisher of the model or of timm names them.

    Raises:
        UsageError: unknown model or layer, or a model without feature maps.
        MissingError: weights that cannot be downloaded, or no such file.
        VosError: weights in ``file`` that are not those of the model.
    """
    import timm

    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        raise UsageError(f"unknown timm model {name!r}: {near_names(name, timm.list_models())}")
    info = _feature_info(name)
    if not info:
        raise UsageError(f"timm model {name} has no feature maps: pick another")
    if layer < 0 or layer > len(info):
        raise UsageError(f"timm model {name} has layers 1 to {len(info)}, got {layer}")
    if _is_plain_transformer(info):
        model = _create(name, pretrained, file, **_any_size(name))
        return _tried(name, TimmTokens(model, layer, _normalise(model)))
    index = layer - 1 if layer else _deepest(info, MAX_STRIDE)
    stage = {"features_only": True, "out_indices": (index,)}
    model = _create(name, pretrained, file, **stage, **_any_size(name))
    return _tried(name, TimmStage(model, _normalise(model)))


def _tried(name: str, backbone: TimmTokens | TimmStage) -> Backbone:
    """Run a small image once: some models take frames of one size only, some change width."""
    backbone.eval()
    height, width = 2 * backbone.stride, 3 * backbone.stride
    try:
        with torch.no_grad():
            features = backbone(torch.zeros(1, 3, height, width))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise UsageError(f"timm:{name} takes images of one size only: pick another") from error
    if features.shape[-2:] != (2, 3):
        raise UsageError(f"timm:{name} gives no feature map aligned with its image: pick another")
    backbone.channels = features.shape[1]
    backbone.train()
    return backbone


def _create(name: str, pretrained: bool, file: str, **options: Any) -> nn.Module:
    import timm

    if file:
        return _filled(name, Path(file), options)
    if not pretrained:
        return timm.create_model(name, pretrained=False, **options)
    spec = f"timm:{name}"
    advice = f"run once with a network, or use {spec},pretrained=false for random weights"
    with hub_download(f"the weights of {spec}", advice):
        return timm.create_model(name, pretrained=True, **options)


def _filled(name: str, file: Path, options: dict[str, Any]) -> Any:
    """Build a model with the weights of a file, converted by timm where it knows their layout."""
    import timm

    plain = _on_meta(name)
    heads = tuple(f"{head}." for head in _heads(plain))
    found = without_prefix(read_weights(file), plain.state_dict())
    tensors = {key: tensor for key, tensor in found.items() if not key.startswith(heads)}
    if not tensors:
        raise VosError(f"{file} holds no weights of timm:{name}")
    # No classes, neither here nor there: so timm asks for every other tensor.
    overlay = {"state_dict": tensors, "num_classes": 0}
    try:
        with contextlib.redirect_stdout(sys.stderr):  # timm prints of biases that it leaves out
            model: Any = timm.create_model(
                name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=0, **options
            )
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise VosError(f"{file} has not the weights of timm:{name}: {reason[:200]}") from error
    model.pretrained_cfg.pop("state_dict", None)  # which would keep a second copy
    return model


def _heads(model: Any) -> list[str]:
    named = model.pretrained_cfg.get("classifier") or "head"
    return [named] if isinstance(named, str) else list(named)


def _on_meta(name: str, **options: Any) -> Any:
    """Build the model without memory or weights, to ask what it is."""
    import timm

    with torch.device("meta"):
        return timm.create_model(name, pretrained=False, **options)


def _feature_info(name: str) -> list[dict[str, Any]]:
    info = getattr(_on_meta(name), "feature_info", [])
    return list(getattr(info, "info", info))


def _is_plain_transformer(info: list[dict[str, Any]]) -> bool:
    """Return whether all blocks have one resolution."""
    return len({item["reduction"] for item in info}) == 1


def _deepest(info: list[dict[str, Any]], limit: int) -> int:
    fitting = [index for index, item in enumerate(info) if item["reduction"] <= limit]
    return fitting[-1] if fitting else 0


def _any_size(name: str) -> dict[str, Any]:
    """Return the option that makes a model with a fixed input size take frames of any size."""
    for option in ({"dynamic_img_size": True}, {"strict_img_size": False}):
        try:
            _on_meta(name, **option)
        except TypeError:  # the model does not know the option
            continue
        return option
    return {}


def _normalise(model: Any) -> Normalise:
    import timm.data

    config = timm.data.resolve_data_config({}, model=model)
    return Normalise(config["mean"], config["std"])
