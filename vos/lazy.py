"""Names of a package that are loaded on first use."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str] | None = None) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package that loads its names on first use.

    The files and folders of the package are among them, so that ``vos.media.read_mask`` works
    after ``import vos``.

    Args:
        package: its dotted name.
        homes: by each name that is handed out, the module that holds it.
    """

    def find(name: str) -> Any:
        if homes and name in homes:
            return getattr(importlib.import_module(homes[name]), name)
        module = f"{package}.{name}"
        if name.startswith("_") or importlib.util.find_spec(module) is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return importlib.import_module(module)

    return find
