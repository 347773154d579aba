"""Say `--option` where the library, which speaks of parameters, says `parameter`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperCommand

from vos.errors import VosError

_PARAMETER = re.compile(r"`(\w+)(?:=([^`]*))?`")


class Command(TyperCommand):
    """A command whose errors name its options."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error of the library comes out in terms of options."""
        try:
            return super().invoke(ctx)
        except VosError as error:
            options = {
                str(each.name): max(each.opts, key=len)
                for each in self.params
                if each.param_type_name == "option"
            }
            error.args = (in_options(str(error), options),)
            raise


def name_options(app: typer.Typer) -> None:
    """Let all commands of ``app`` name their options in errors."""
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            name_options(group.typer_instance)


def in_options(message: str, options: Mapping[str, str]) -> str:
    """Return a message with the parameters of a command as a person types them.

    Parameters stand in backticks, with a value or without; what is no option of the command, such
    as the text of another command, stays as it is.

    Args:
        options: by the names of parameters.

    >>> in_options("add `overwrite=True` to start anew", {"overwrite": "--overwrite"})
    'add --overwrite to start anew'
    >>> in_options("use `precision='float32'`", {"precision": "--precision"})
    'use --precision float32'
    """

    def typed(found: re.Match[str]) -> str:
        name, value = found.groups()
        if name not in options:
            return found[0]
        value = (value or "").strip("'\"")
        return options[name] if value in ("", "True") else f"{options[name]} {value}"

    return _PARAMETER.sub(typed, message)
