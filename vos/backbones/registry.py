"""Backbone families by name.

Each module of ``families/`` registers builders with :func:`family`; so may anyone's own code, at
any time. A new file in that folder is found by itself.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import torch

from vos.backbones.adapt import as_backbone
from vos.backbones.base import Backbone, Recipe
from vos.errors import UsageError, near_names

Builder = TypeVar("Builder", bound=Callable[..., Backbone])


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
        """Return options and their defaults, in the order of the signature."""
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


def families() -> dict[str, Family]:
    """Return all families by name: those of vos, and those registered since."""
    _import_families()
    return dict(sorted(_FAMILIES.items()))


@cache
def _import_families() -> None:
    package = importlib.import_module("vos.backbones.families")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


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
    backbone = build_member(member, options, seed=seed)
    backbone.recipe = Recipe(family_name, options)
    return backbone


def build_member(member: Family, options: dict[str, Any], *, seed: int = 0) -> Backbone:
    """Build with ``member.build``, whether it is registered or not, as `build` does.

    Raises:
        UsageError: an unknown option, a value that makes no sense, or no network is built.
    """
    given = _parse_options(member, options)
    for name, parameter in inspect.signature(member.build).parameters.items():
        named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if named and parameter.default is parameter.empty and name not in given:
            raise UsageError(f"{member.name} needs the option {name}, which has no default")
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would also reseed the accelerators.
        torch.random.default_generator.manual_seed(seed)
        return as_backbone(member.build(**given))


def spec_names() -> list[str]:
    """Return family names as users write them (``timm:MODEL`` for families with a prefix)."""
    return [f"{item.name}:MODEL" if item.prefix else item.name for item in families().values()]


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
    if default is inspect.Parameter.empty or default is None or isinstance(default, str):
        return text
    try:
        if isinstance(default, bool):
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        return type(default)(text)
    except (ValueError, KeyError):
        kind = "true or false" if isinstance(default, bool) else f"of type {type(default).__name__}"
        raise UsageError(f"model option {key}={text}: the value must be {kind}") from None
