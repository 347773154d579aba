"""Backbone families by name, and :func:`load`, which makes a backbone from any spec."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch

from vos.backbones.base import Backbone, Recipe
from vos.errors import UsageError, near_names

Builder = TypeVar("Builder", bound=Callable[..., Backbone])

# Modules that define families; each is imported when the first name is looked up.
_MODULES = (
    "cmc",
    "dss",
    "lab",
    "resnet",
    "rotation_resnet",
    "rotation_unet",
    "small",
    "timm_models",
    "torchvision_models",
    "unet",
)


@dataclass(frozen=True)
class Family:
    """A named way to build a backbone with random (or its publisher's) weights.

    Attributes:
        name: what users write, such as ``resnet18``; for ``prefix`` families the part before
            the colon, such as ``timm``.
        build: keyword options -> backbone; the options are its parameters, with their defaults.
        description: one line for ``vos models``.
        prefix: whether users write ``name:MODEL``, MODEL being the option ``name``.
    """

    name: str
    build: Callable[..., Backbone]
    description: str
    prefix: bool = False

    @property
    def defaults(self) -> dict[str, Any]:
        """Options and their defaults, in the order of the signature."""
        parameters = inspect.signature(self.build).parameters.values()
        return {item.name: item.default for item in parameters if item.default is not item.empty}


_FAMILIES: dict[str, Family] = {}


def family(name: str, description: str, *, prefix: bool = False) -> Callable[[Builder], Builder]:
    """Register the decorated builder (keyword options -> backbone) under ``name``.

    Every option needs a default of the type that its values have (``int``, ``float``, ``bool``
    or ``str``), because specs are text.
    """

    def register(builder: Builder) -> Builder:
        _FAMILIES[name] = Family(name, builder, description, prefix)
        return builder

    return register


@cache
def families() -> dict[str, Family]:
    """All families by name."""
    for module in _MODULES:
        importlib.import_module(f"vos.backbones.{module}")
    return dict(sorted(_FAMILIES.items()))


def build(family_name: str, /, *, seed: int = 0, **options: Any) -> Backbone:
    """Build a family member in training mode, on the CPU, with weights decided by ``seed``.

    The global random state is left as it was.

    Raises:
        UsageError: unknown family or option, or a value that makes no sense.
    """
    known = families()
    if family_name not in known:
        raise UsageError(
            f"unknown backbone family {family_name!r}: {near_names(family_name, known)}"
        )
    member = known[family_name]
    options = {**member.defaults, **_parse_options(member, options)}
    if member.prefix and not options.get("name"):
        raise UsageError(f"{family_name} needs a model: {family_name}:MODEL")
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would also reseed the accelerators.
        torch.random.default_generator.manual_seed(seed)
        backbone = member.build(**options)
    backbone.recipe = Recipe(family_name, options)
    return backbone


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
    from vos.backbones.checkpoint import CONFIG_NAME, load_checkpoint, shipped_checkpoints

    prefix, _, rest = name.partition(":")
    if rest and prefix == "hf":
        return _from_hub(rest, options)
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
        return _from_hub(name, options)
    if "/" in name:
        raise UsageError(f"no checkpoint folder {name}")
    raise UsageError(f"unknown model {name!r}: {near_names(name, [*shipped, *spec_names()])}")


def _from_hub(name: str, options: dict[str, str]) -> Backbone:
    from vos.backbones.hub import load_from_hub

    return load_from_hub(name, **options)


def spec_names() -> list[str]:
    """Family names as users write them (``timm:MODEL`` for families with a prefix)."""
    return [f"{item.name}:MODEL" if item.prefix else item.name for item in families().values()]


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


def _parse_options(member: Family, options: dict[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(member.build).parameters
    parsed = {}
    for key, value in options.items():
        if key not in parameters:
            known = [item for item in parameters if item != "name"]
            hint = near_names(key, known) if known else "it has none"
            raise UsageError(f"{member.name} has no option {key!r}: {hint}")
        default = parameters[key].default
        parsed[key] = _parse_value(key, value, default) if isinstance(value, str) else value
    return parsed


def _parse_value(key: str, text: str, default: Any) -> Any:
    if default is inspect.Parameter.empty or isinstance(default, str):
        return text
    try:
        if isinstance(default, bool):
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        return type(default)(text)
    except (ValueError, KeyError):
        kind = "true or false" if isinstance(default, bool) else f"of type {type(default).__name__}"
        raise UsageError(f"model option {key}={text}: the value must be {kind}") from None
