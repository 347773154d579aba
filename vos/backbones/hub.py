"""Checkpoints from the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vos.backbones.base import Backbone
from vos.backbones.checkpoint import CARD_NAME, CONFIG_NAME, WEIGHTS_NAME, load_checkpoint
from vos.backbones.downloads import hub_download


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
    advice = "no known model and no folder has this name either (vos models lists what there is)"
    with hub_download(f"{name} from the hub", advice):
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
