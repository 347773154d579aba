"""Settings as dataclasses: YAML and ``key=value`` in, one line for each mistake out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from vos.errors import UsageError, near_names

DEFAULT_MODEL = "icon-compact"  # of commands, functions and page: a checkpoint of `weights/`

Kind = TypeVar("Kind")


def read_settings(
    kind: type[Kind],
    *,
    name: str,
    text: str = "",
    changes: Sequence[str] = (),
    free: Sequence[str] = (),
) -> Kind:
    """Return a ``kind`` with the values of YAML ``text`` put in, and then those of ``changes``.

    Args:
        kind: a dataclass whose fields all have defaults; fields that are dataclasses are
            reached by dots (``crop.size``).
        name: what messages call it, such as ``config icon-resnet18``.
        text: YAML, a mapping.
        changes: ``key=value``, as a person types them; values are YAML.
        free: mappings whose keys are the user's.

    Raises:
        UsageError: text that is no YAML, an unknown key (near ones are offered) or a value of
            another type.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for change in changes:
        if "=" not in change or change.startswith("="):
            raise UsageError(f"setting {change!r}: write key=value")
    try:
        parts = [OmegaConf.create(text or "{}"), OmegaConf.from_dotlist(list(changes))]
    except Exception as error:
        raise UsageError(f"{name} is not valid YAML: {_first_line(error)}") from error
    for part in parts:
        _check_keys(kind, OmegaConf.to_container(part), name, free)
    try:
        found = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(kind), *parts))
    except OmegaConfBaseException as error:
        key = f"{error.full_key}: " if getattr(error, "full_key", None) else ""
        raise UsageError(f"{name}: {key}{_first_line(error)}") from error
    assert isinstance(found, kind)
    return found


def change_settings(settings: Kind, changes: Mapping[str, Any]) -> Kind:
    """Return a copy of a flat dataclass with some fields changed.

    Args:
        settings: a dataclass; ``none`` and ``native`` stand for None in fields that may be None.
        changes: values by the name of their field; texts are YAML, as a person types them.

    Raises:
        UsageError: an unknown name (near ones are offered) or a value of another type.
    """
    hints = get_type_hints(type(settings))
    for name in changes:
        if name not in hints:
            raise UsageError(f"unknown setting {name!r}: {near_names(name, hints)}")
    values = {name: _value(type(settings), name, changes[name], hints[name]) for name in changes}
    return dataclasses.replace(settings, **values)  # type: ignore[type-var]


def _value(kind: type, name: str, value: Any, hint: Any) -> Any:
    """Return the value of one field of a dataclass, read as its type asks for."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    can_be_none = type(None) in get_args(hint)
    if can_be_none and isinstance(value, str) and value.lower() in ("none", "native"):
        return None
    try:
        typed = isinstance(value, str)
        part = OmegaConf.from_dotlist([f"{name}={value}"]) if typed else {name: value}
        return getattr(OmegaConf.merge(OmegaConf.structured(kind), part), name)
    except (OmegaConfBaseException, YAMLError) as error:
        if get_origin(hint) is Literal:
            choices = get_args(hint)
            raise UsageError(f"{name} cannot be {value!r}: {near_names(value, choices)}") from error
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}
        (plain,) = (each for each in get_args(hint) or (hint,) if each is not type(None))
        raise UsageError(f"{name} must be {wanted[plain]}, not {value!r}") from error


def setting_keys(kind: type, prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of every field of a dataclass, those of its parts included."""
    for item in dataclasses.fields(kind):
        yield prefix + item.name
        default = item.default_factory
        if isinstance(default, type) and dataclasses.is_dataclass(default):
            yield from setting_keys(default, f"{prefix}{item.name}.")


def setting_value(settings: Any, key: str) -> Any:
    """Return the value of a dotted name."""
    for name in key.split("."):
        settings = getattr(settings, name)
    return settings


def _check_keys(kind: type, values: Any, name: str, free: Sequence[str]) -> None:
    if not isinstance(values, dict):
        raise UsageError(f"{name} must be a mapping of keys to values")
    known = set(setting_keys(kind))
    for key, value in values.items():
        inner = sorted(each for each in known if each.startswith(f"{key}."))
        if inner and not isinstance(value, dict):
            raise UsageError(f"config key {key!r} holds others: set {', '.join(inner)}")
    for key in _given_keys(values, free):
        if key not in known:
            raise UsageError(f"unknown config key {key!r}: {near_names(key, sorted(known))}")


def _given_keys(values: Any, free: Sequence[str], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        key = f"{prefix}{name}"
        yield key
        if isinstance(value, dict) and key not in free:
            yield from _given_keys(value, free, f"{key}.")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
