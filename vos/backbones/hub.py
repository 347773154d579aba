"""Checkpoints from the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vos.backbones.base import Backbone
from vos.backbones.checkpoint import CARD_NAME, CONFIG_NAME, WEIGHTS_NAME, load_checkpoint
from vos.errors import MissingError


def load_from_hub(repository: str, *, revision: str | None = None, **options: Any) -> Backbone:
    """Read a checkpoint folder from the hub (or the local cache of it).

    Args:
        repository: ``owner/name``, or ``owner/name@revision``, or a local folder.
        revision: branch, tag or commit; overrides the one in ``repository``.
        options: override the saved options, as in :func:`load_checkpoint`.

    Raises:
        MissingError: no such repository, no network, or files missing in it.
    """
    if Path(repository).is_dir():
        return load_checkpoint(repository, **options)
    name, _, tag = repository.partition("@")
    return load_checkpoint(_download(name, revision or tag or None), **options)


def _download(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    wanted = [CONFIG_NAME, WEIGHTS_NAME, CARD_NAME]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise MissingError(
            f"no model {name}: not a known name, not a folder, and the hub gave nothing ({reason})"
        ) from error
