"""From a spec to a backbone: names, folders, libraries of models and hub ids."""

from __future__ import annotations

from pathlib import Path

import torch

from vos.backbones.base import Backbone
from vos.backbones.checkpoint import CONFIG_NAME, load_checkpoint, shipped_checkpoints
from vos.backbones.hub import load_from_hub
from vos.backbones.registry import build, families, spec_names
from vos.errors import UsageError, near_names


def load(spec: str | Path, *, seed: int = 0, device: str | torch.device = "cpu") -> Backbone:
    """Make a backbone, in evaluation mode, from a name, a folder or a hub id.

    ``spec`` is one of

    - the name of a checkpoint shipped with vos (``icon-resnet18``), a checkpoint folder, or the
      folder of a training run;
    - a family, for random weights decided by ``seed`` (``resnet18``, ``unet-short-64``, ``lab``);
    - ``timm:MODEL`` or ``torchvision:MODEL``, with the publisher's weights;
    - a Hugging Face hub id of a vos checkpoint (``owner/name`` or ``hf:owner/name``);

    and may end in options: ``resnet18,stride=4,layer=2`` or ``timm:MODEL,pretrained=false``.
    Options after a checkpoint override the ones it was saved with.

    Args:
        spec: what to load.
        seed: decides random weights; loaded weights do not depend on it.
        device: where to put it.

    Raises:
        UsageError: unknown name or option; the message lists near names.
        MissingError: weights that are not here and cannot be downloaded.
        VosError: a checkpoint that cannot be read.

    Example:
        >>> load("resnet18,stride=4").stride
        4
    """
    name, options = _split(str(spec))
    backbone = _find(name, options, seed)
    return backbone.eval().to(device)


def _find(name: str, options: dict[str, str], seed: int) -> Backbone:
    prefix, _, rest = name.partition(":")
    if rest and prefix == "hf":
        return load_from_hub(rest, **options)
    if prefix in families() and families()[prefix].prefix:
        return build(prefix, seed=seed, name=rest, **options)
    if name in families():
        return build(name, seed=seed, **options)
    shipped = shipped_checkpoints()
    if name in shipped:
        return load_checkpoint(shipped[name], **options)
    if Path(name).is_dir():
        for folder in (Path(name), Path(name) / "weights"):  # of a run, its weights
            if (folder / CONFIG_NAME).is_file():
                return load_checkpoint(folder, **options)
        raise UsageError(f"{name} is no checkpoint folder: it holds no {CONFIG_NAME}")
    if name.count("/") == 1 and not name.startswith((".", "/", "~")) and not name.endswith("/"):
        return load_from_hub(name, **options)
    if "/" in name:
        raise UsageError(f"no checkpoint folder {name}")
    raise UsageError(f"unknown model {name!r}: {near_names(name, [*shipped, *spec_names()])}")


def _split(spec: str) -> tuple[str, dict[str, str]]:
    if Path(spec).is_dir():  # a folder may have commas in its name
        return spec, {}
    name, *pairs = spec.split(",")
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key or not value:
            raise UsageError(f"model option {pair!r} in {spec!r} is not of the form key=value")
        options[key.strip().replace("-", "_")] = value.strip()
    return name.strip(), options
