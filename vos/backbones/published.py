"""Weights that others published, in a backbone of a family: ``FILE.pth,family=NAME``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from vos.backbones.base import Backbone
from vos.backbones.checkpoint import fill
from vos.backbones.registry import build, families, spec_names
from vos.backbones.weight_files import read_weights, without_prefix
from vos.errors import UsageError, VosError


def load_published(path: Path, *, seed: int = 0, family: str = "", **options: Any) -> Backbone:
    """Build a member of ``family`` and fill it with the weights of a file.

    Prefixes and wrappers go, and tensors that the family has no use for (projection heads, stages
    beyond ``layer``) are left out.

    Args:
        path: ``.pth``, ``.pt``, ``.tar``, ``.bin``, ``.ckpt`` or ``.safetensors``, as CRW, VFS,
            DUL, DINO, DINOv2 and DINOv3 publish them.
        family: ``resnet18``, ``timm:MODEL``, ``torchvision:MODEL`` or any other.
        options: of the family.

    Raises:
        UsageError: no family, or an unknown one.
        MissingError: there is no such file.
        VosError: the file cannot be read safely, or its weights are not those of the family.
    """
    if not family:
        raise UsageError(
            f"{path} holds weights alone: say of what network, as in {path},family=resnet18 or "
            f"{path},family=timm:vit_small_patch8_224; families are {', '.join(spec_names())}"
        )
    tensors = read_weights(path)
    name, _, model = family.partition(":")
    if model and name in families() and families()[name].prefix:
        options |= {"name": model, "pretrained": False}
    if name == "timm":  # which knows how names and sizes differ from network to network
        backbone = build(name, seed=seed, **{**options, "pretrained": True, "file": str(path)})
        assert backbone.recipe is not None
        backbone.recipe.options.update(pretrained=False, file="")  # the file may be gone later
        return backbone
    backbone = build(name, seed=seed, **options)
    names = {_as_torchvision(own): own for own in backbone.state_dict()}
    found = without_prefix(tensors, names)
    if not found:
        raise VosError(
            f"{path} holds no weights of {family}: its tensors are such as {min(tensors)}"
        )
    fill(
        backbone,
        {names.get(other, other): tensor for other, tensor in found.items()},
        path,
        surplus_allowed=True,
    )
    return backbone


def _as_torchvision(name: str) -> str:
    """Return the name that torchvision has for a weight of our dense ResNet."""
    name = re.sub(r"^stem\.0\.", "conv1.", name)
    name = re.sub(r"^stem\.1\.", "bn1.", name)
    return re.sub(r"^stages\.(\d)\.", lambda match: f"layer{int(match[1]) + 1}.", name)
