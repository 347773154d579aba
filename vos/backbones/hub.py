"""Checkpoints on the Hugging Face hub, with one clear line, soon, where there is no network."""

from __future__ import annotations

import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vos.backbones.base import Backbone
from vos.backbones.checkpoint import (
    CARD_NAME,
    CONFIG_NAME,
    WEIGHTS_NAME,
    load_checkpoint,
    save_checkpoint,
)
from vos.errors import MissingError, UsageError, VosError
from vos.version import __version__

PROBE_SECONDS = 5.0


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


def push_to_hub(
    backbone: Backbone,
    repository: str,
    *,
    card: Mapping[str, object] | str | None = None,
    private: bool = False,
    token: str | None = None,
    message: str = "Upload a vos checkpoint",
) -> str:
    """Upload a backbone as a checkpoint folder that ``vos.load(repository)`` reads.

    Args:
        backbone: as made by :func:`vos.load` or :func:`vos.backbones.build`.
        repository: ``owner/name``; made if need be.
        card: as in :func:`save_checkpoint`.
        private: whether a repository that is made is private.
        token: of the hub; None takes the one that ``hf auth login`` has left.
        message: of the commit.

    Returns:
        The address of the commit.

    Raises:
        UsageError: the backbone was made by its class and not by name, or the name of the
            repository is not of the form ``owner/name``.
        VosError: the hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    if repository.count("/") != 1:
        raise UsageError(f"a repository of the hub is named owner/name, not {repository!r}")
    hub = HfApi(token=token, library_name="vos-propagation", library_version=__version__)
    with tempfile.TemporaryDirectory(prefix="vos-hub-") as folder:
        saved = save_checkpoint(Path(folder) / repository.split("/")[1], backbone, card=card)
        try:
            hub.create_repo(repository, private=private, exist_ok=True)
            commit = hub.upload_folder(
                repo_id=repository, folder_path=saved, commit_message=message
            )
        except (HfHubHTTPError, HFValidationError, OSError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise VosError(f"cannot upload to {repository}: {reason}") from error
    return str(commit.commit_url)


def _download(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    wanted = [CONFIG_NAME, WEIGHTS_NAME, CARD_NAME]
    advice = "no known model and no folder has this name either (vos models lists what there is)"
    with hub_download(f"{name} from the hub", advice):
        return Path(snapshot_download(name, revision=revision, allow_patterns=wanted))


def reachable(url: str, seconds: float = PROBE_SECONDS) -> bool:
    """Return whether the host answers at all; an HTTP error is an answer."""
    try:
        request = urllib.request.Request(url, method="HEAD")
        urllib.request.urlopen(request, timeout=seconds).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


@contextmanager
def hub_download(what: str, advice: str) -> Iterator[None]:
    """Run a block that may fetch ``what`` from the Hugging Face hub or its local cache.

    The hub's own client retries for about a minute when there is no network; here the network
    is tried once, and without it only the cache is read.

    Raises:
        MissingError: the block failed; the message ends in ``advice``.
    """
    from huggingface_hub import constants

    host = constants.ENDPOINT
    before = constants.HF_HUB_OFFLINE
    offline = before or not reachable(host)
    constants.HF_HUB_OFFLINE = offline
    try:
        yield
    except Exception as error:
        lines = str(error).strip().splitlines()
        reason = f"{host} cannot be reached" if offline else (lines or [type(error).__name__])[0]
        raise MissingError(f"cannot get {what}: {reason}; {advice}") from error
    finally:
        constants.HF_HUB_OFFLINE = before
