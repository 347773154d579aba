"""`vos info`: versions, hardware, folders: what a bug report needs."""

from __future__ import annotations

import json

import typer

from vos.cli import options


def info(as_json: options.AsJson = False) -> None:
    """Show versions, hardware, shipped weights and optional parts of this installation."""
    from importlib.util import find_spec

    from vos.backbones import shipped_checkpoints, weights_root
    from vos.machine import describe, device_name, resolve_device, versions
    from vos.version import __version__

    extras = {"demo": "gradio", "export": "zarr", "onnx": "onnxscript", "ray": "ray"}
    record = {
        "vos": __version__,
        "versions": versions(),
        "machine": describe(),
        "device": device_name(resolve_device("auto")),
        "weights": {"folder": str(weights_root()), "names": sorted(shipped_checkpoints())},
        "extras": {name: find_spec(module) is not None for name, module in extras.items()},
    }
    if as_json:
        typer.echo(json.dumps(record))
        return
    for name, value in record.items():
        if isinstance(value, dict):
            typer.echo(name)
            for key, entry in value.items():
                typer.echo(f"  {key:<18}{_plain(entry)}")
        else:
            typer.echo(f"{name:<20}{value}")


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "installed" if value else "not installed"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
