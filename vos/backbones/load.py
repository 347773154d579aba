"""From a spec to a backbone: names, folders, files, anyone's code, libraries and hub ids."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import torch

from vos.backbones.adapt import as_backbone
from vos.backbones.base import Backbone
from vos.backbones.checkpoint import CONFIG_NAME, load_checkpoint, shipped_checkpoints
from vos.backbones.hub import load_from_hub
from vos.backbones.published import load_published
from vos.backbones.registry import Family, build, build_member, families, spec_names
from vos.backbones.weight_files import SUFFIXES
from vos.errors import UsageError, near_names


def load(spec: str | Path, *, seed: int = 0, device: str | torch.device = "cpu") -> Backbone:
    """Make a backbone, in evaluation mode, from a name, a folder, a file or a hub id.

    ``spec`` is one of

    - the name of a checkpoint shipped with vos (``icon-resnet18``), a checkpoint folder, or the
      folder of a training run;
    - a family, for random weights decided by ``seed`` (``resnet18``, ``unet-short-64``, ``lab``);
    - ``timm:MODEL`` or ``torchvision:MODEL``, with the publisher's weights;
    - a file of weights as others publish them, with the family they are for
      (``crw.pth,family=resnet18``, ``dino.pth,family=timm:vit_small_patch8_224``);
    - ``package.module:name``, a network of your own, or a function or class that makes one; it is
      imported, from the working folder too, and becomes a backbone by `vos.as_backbone`;
    - a Hugging Face hub id of a vos checkpoint (``owner/name`` or ``hf:owner/name``);

    and may end in options: ``resnet18,stride=4,layer=2`` or ``timm:MODEL,pretrained=false``.
    Options after a checkpoint override the ones it was saved with; those after
    ``package.module:name`` are keyword arguments.

    Args:
        spec: what to load.
        seed: decides random weights; loaded weights do not depend on it.
        device: where to put it.

    Raises:
        UsageError: unknown name or option, or a network that is no backbone.
        MissingError: weights that are not here and cannot be downloaded.
        VosError: a checkpoint that cannot be read, or does not fit its family.

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
    if Path(name).suffix.lower() in SUFFIXES and not Path(name).is_dir():
        return load_published(Path(name), seed=seed, **options)
    if rest and re.fullmatch(r"[^\W\d][\w.]*", prefix) and rest.isidentifier():
        return _from_code(prefix, rest, options, seed)
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


def _from_code(module: str, name: str, options: dict[str, str], seed: int) -> Backbone:
    """Return the network that ``module:name`` is or makes, as a backbone."""
    spec = f"{module}:{name}"
    member = _imported(module, name)
    if isinstance(member, torch.nn.Module):
        if options:
            raise UsageError(f"{spec} is a network, which takes no option {next(iter(options))!r}")
        return as_backbone(member)
    if not callable(member):
        raise UsageError(f"{spec} is of type {type(member).__name__}, no network and no function")
    return build_member(Family(spec, member, ""), options, seed=seed)


def _imported(module: str, name: str) -> Any:
    here = str(Path.cwd())
    sys.path.insert(0, here)  # a console script does not look there
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise UsageError(
                f"unknown model '{module}:{name}': there is no module {error.name} in {here} or "
                f"where Python looks, and `vos models` lists no {module}:"
            ) from error
        raise UsageError(f"{module} cannot be imported: {error}") from error
    except AttributeError as error:
        public = [other for other in dir(sys.modules.get(module)) if not other.startswith("_")]
        raise UsageError(f"{module} has no {name}: {near_names(name, public)}") from error
    finally:
        sys.path.remove(here)


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
