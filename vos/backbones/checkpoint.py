"""Checkpoint folders: ``model.safetensors``, ``config.json`` and a model card, ``README.md``.

Only tensors and JSON are ever read, so a checkpoint from a stranger cannot run code.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from vos.backbones.base import Backbone
from vos.backbones.digest import METADATA, weights_file_digest
from vos.backbones.quantised import QUANTISED_NAME
from vos.backbones.registry import build
from vos.errors import MissingError, UsageError, VosError
from vos.files import atomic_path, read_json, write_text

WEIGHTS_NAME = "model.safetensors"
CONFIG_NAME = "config.json"
CARD_NAME = "README.md"
FORMAT = 1


def weights_root() -> Path:
    """Return the folder of shipped checkpoints: in the wheel, or beside ``vos`` in a clone."""
    package = Path(__file__).parents[1]
    installed = package / "_weights"
    return installed if installed.is_dir() else package.parent / "weights"


def shipped_checkpoints() -> dict[str, Path]:
    """Return the folders of the shipped checkpoints by name."""
    root = weights_root()
    if not root.is_dir():
        return {}
    folders = (item for item in root.iterdir() if (item / CONFIG_NAME).is_file())
    return {folder.name: folder for folder in sorted(folders)}


def save_checkpoint(
    folder: str | Path,
    backbone: Backbone,
    *,
    card: Mapping[str, object] | str | None = None,
) -> Path:
    """Write a backbone as a checkpoint folder that :func:`vos.load` reads.

    Args:
        folder: made if need be; an older checkpoint in it is replaced.
        backbone: as made by :func:`vos.load` or :func:`vos.backbones.build`.
        card: what the model card says: rows of a table (``{"Data": ..., "Licence": ...,
            "Command": ..., "Seed": ..., "Hours": ..., "J&F": ...}``) or Markdown. The
            architecture and the SHA-256 of the weights are always added.

    Returns:
        The folder.

    Raises:
        VosError: the folder cannot be written.
        UsageError: the backbone was made by its class and not by name.
    """
    folder = Path(folder)
    if backbone.recipe is None:
        raise UsageError("only backbones made by vos.load or vos.backbones.build can be saved")
    payload = _serialise(backbone)
    digest = hashlib.sha256(payload).hexdigest()
    config = {
        "format": FORMAT,
        **_without_download(backbone),
        "stride": backbone.stride,
        "channels": backbone.channels,
        "parameters": sum(item.numel() for item in backbone.parameters()),
        "sha256": digest,
    }
    # Both files are complete on disk before either takes its name, so that an interruption
    # leaves the old pair or the new one.
    with (
        atomic_path(folder / CONFIG_NAME) as config_file,
        atomic_path(folder / WEIGHTS_NAME) as weights_file,
    ):
        weights_file.write_bytes(payload)
        write_text(config_file, _json(config))
    write_text(folder / CARD_NAME, _card(folder.name, config, card))
    return folder


def load_checkpoint(folder: str | Path, **options: Any) -> Backbone:
    """Read a checkpoint folder.

    Args:
        folder: holds ``model.safetensors`` and ``config.json``, and maybe ``int8.onnx``.
        options: override the saved options of the family (``output="head"``). Tensors that the
            changed network has no use for are left out.

    Returns:
        The backbone in evaluation mode, on the CPU.

    Raises:
        MissingError: a file is missing.
        VosError: a file is damaged, or weights and configuration do not fit.
    """
    folder = Path(folder)
    config = read_config(folder)
    backbone = build(config["family"], **{**config["options"], **options})
    tensors = _read_weights(folder / WEIGHTS_NAME, config.get("sha256"))
    fill(backbone, tensors, folder / WEIGHTS_NAME, surplus_allowed=bool(options))
    if (folder / QUANTISED_NAME).is_file():
        backbone.quantised = folder / QUANTISED_NAME
    return backbone.eval()


def weights_digest(backbone: Backbone) -> str:
    """Return the SHA-256 of the weights, as of the ``model.safetensors`` they are saved in."""
    return weights_file_digest(_tensors(backbone))


def read_config(folder: Path) -> dict[str, Any]:
    """Read and check ``config.json``.

    Raises:
        MissingError: there is none.
        VosError: it is not a configuration of this format.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise MissingError(f"{path} is missing: {folder} is no complete checkpoint folder")
    config = read_json(path)
    if not isinstance(config, dict) or not isinstance(config.get("family"), str):
        raise VosError(f"{path} is no vos checkpoint: it names no backbone family")
    if config.get("format") != FORMAT:
        raise VosError(f"{path} has format {config.get('format')}, this vos reads {FORMAT}")
    if not isinstance(config.setdefault("options", {}), dict):
        raise VosError(f"{path}: options must be a mapping")
    return config


def _serialise(backbone: Backbone) -> bytes:
    tensors = {key: value.cpu().contiguous() for key, value in _tensors(backbone).items()}
    return safetensors.torch.save(tensors, metadata=METADATA)


def _tensors(backbone: Backbone) -> dict[str, Tensor]:
    return {key: value.detach() for key, value in _weights(backbone).items()}


def _weights(backbone: Backbone) -> dict[str, Tensor]:
    return dict(backbone.state_dict())


def _without_download(backbone: Backbone) -> dict[str, Any]:
    """Return the recipe, without the option that would download weights when it is read."""
    assert backbone.recipe is not None
    recipe = backbone.recipe.to_dict()
    if "pretrained" in recipe["options"]:
        recipe["options"]["pretrained"] = False
    return recipe


def _read_weights(path: Path, digest: str | None) -> dict[str, Tensor]:
    if not path.is_file():
        raise MissingError(f"{path} is missing: the checkpoint folder is incomplete")
    try:
        payload = path.read_bytes()
    except OSError as error:
        raise VosError(f"cannot read {path}: {error.strerror or error}") from error
    if digest is not None and hashlib.sha256(payload).hexdigest() != digest:
        raise VosError(f"{path} is damaged: its SHA-256 is not the one in {CONFIG_NAME}")
    try:
        return safetensors.torch.load(payload)
    except (SafetensorError, ValueError, KeyError) as error:
        raise VosError(f"{path} is no safetensors file ({error})") from error


def fill(
    backbone: Backbone, tensors: Mapping[str, Tensor], path: Path, *, surplus_allowed: bool
) -> None:
    """Set the weights of a backbone to those that were read from ``path``.

    Raises:
        VosError: one is missing, has another shape, or is too many and may not be.
    """
    wanted = _weights(backbone)
    missing = [key for key in wanted if key not in tensors]
    surplus = [key for key in tensors if key not in wanted]
    if missing or (surplus and not surplus_allowed):
        first = (missing or surplus)[0]
        problem = "lacks" if missing else "has unexpected"
        raise VosError(f"{path} {problem} tensor {first} for these options")
    for key, target in wanted.items():
        if tensors[key].shape != target.shape:
            found, expected = tuple(tensors[key].shape), tuple(target.shape)
            raise VosError(f"{path}: {key} is {found}, expected {expected}")
    backbone.load_state_dict({key: tensors[key] for key in wanted})


def _json(value: Any) -> str:
    import json

    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _card(name: str, config: dict[str, Any], card: Mapping[str, object] | str | None) -> str:
    if isinstance(card, str):
        body = card.strip()
    else:
        rows = "".join(f"| {key} | {value} |\n" for key, value in (card or {}).items())
        body = f"# {name}\n\n| | |\n|---|---|\n{rows}".rstrip()
    options = ", ".join(f"{key}={value}" for key, value in config["options"].items())
    return (
        f"{_metadata(body, card)}{body}\n\n"
        "## Weights\n\n"
        f"- Backbone: {config['family']} ({options or 'no options'}), stride {config['stride']}, "
        f"{config['channels']} channels, {config['parameters']:,} parameters\n"
        f"- SHA-256 of {WEIGHTS_NAME}: `{config['sha256']}`\n"
        "- Use: `vos eval --model PATH`, or `vos.load(PATH)` in Python, PATH being this folder\n"
    )


def _metadata(body: str, card: Mapping[str, object] | str | None) -> str:
    """Return what a hub of models reads from the head of a card, unless the card has it already."""
    if body.startswith("---\n"):
        return ""
    licence = str(card.get("Licence", "")) if isinstance(card, Mapping) else ""
    known = re.fullmatch(r"[\w.-]+", licence)  # else it is a sentence, and no licence of the hub
    return (
        "---\n"
        "library_name: vos-propagation\n"
        "pipeline_tag: image-feature-extraction\n"
        "tags: [video-object-segmentation, label-propagation, dense-features]\n"
        f"license: {licence.lower() if known else 'other'}\n"
        "---\n\n"
    )
