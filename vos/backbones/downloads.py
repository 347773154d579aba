"""Weights from the network: one clear line, soon, where there is no network."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from vos.errors import MissingError

PROBE_SECONDS = 5.0


def reachable(url: str, seconds: float = PROBE_SECONDS) -> bool:
    """Whether the host answers at all; an HTTP error is an answer."""
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
