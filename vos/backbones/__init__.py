"""Backbones: image -> dense feature map.

:func:`load` makes one from a name, a checkpoint folder, ``timm:MODEL``, ``torchvision:MODEL`` or
a hub id. Each file of ``families/`` registers builders with ``registry.family``; ``layers/`` holds
the blocks that several families share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import vos.backbones.families  # noqa: F401  (else it replaces the function of that name later)
from vos.backbones.adapt import as_backbone
from vos.backbones.base import Backbone, Equivariance, Recipe
from vos.backbones.checkpoint import (
    load_checkpoint,
    save_checkpoint,
    shipped_checkpoints,
    weights_digest,
    weights_root,
)
from vos.backbones.hub import push_to_hub
from vos.backbones.load import load
from vos.backbones.registry import Family, build, families, family
from vos.lazy import lazy_names

__all__ = [
    "Backbone",
    "Equivariance",
    "Family",
    "Recipe",
    "as_backbone",
    "build",
    "families",
    "family",
    "load",
    "load_checkpoint",
    "push_to_hub",
    "save_checkpoint",
    "shipped_checkpoints",
    "weights_digest",
    "weights_root",
]

if not TYPE_CHECKING:
    __getattr__ = lazy_names("vos.backbones")
