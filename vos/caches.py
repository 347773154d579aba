"""Folders for what can be made again, and what to do where none can be written.

In containers and on clusters the home folder is often missing or read-only. A cache that cannot be
written must not stop the work: a folder of this user below the temporary one takes its place.
"""

from __future__ import annotations

import functools
import logging
import os
import stat
import tempfile
from pathlib import Path

log = logging.getLogger("vos")

_PREFIX = "vos-cache-"  # of the folder that takes the place of the user's cache

# Libraries that keep what they have made elsewhere than below $XDG_CACHE_HOME.
_OF_LIBRARIES = {
    "MPLCONFIGDIR": "matplotlib",
    "TRITON_CACHE_DIR": "triton",
    "TORCHINDUCTOR_CACHE_DIR": "torchinductor",
}


def cache_folder(name: str) -> Path:
    """Return the folder ``name`` of the cache of vos; it need not exist yet.

    The cache is ``$VOS_CACHE``, else ``vos`` below the user's cache folder (``$XDG_CACHE_HOME``,
    else ``~/.cache``). Where that folder cannot be written, and does not hold ``name`` already, it
    is one below the temporary folder, which is said in one warning.
    """
    chosen = os.environ.get("VOS_CACHE")
    if chosen:
        return Path(chosen) / name
    users = _users_cache()
    if users is None or not ((users / "vos" / name).exists() or is_writable(users / "vos")):
        users = _temporary_cache()
    if users.name.startswith(_PREFIX):
        _warn_of(users)
    return users / "vos" / name


def give_libraries_a_cache() -> None:
    """Let the caches of libraries lie in the temporary folder where the user's cannot be written.

    Sets environment variables that are not set yet: for programs, not for functions of a library.
    """
    users = _users_cache()
    if users is not None and is_writable(users):
        return
    folder = _temporary_cache()
    os.environ["XDG_CACHE_HOME"] = str(folder)  # PyTorch's hub, Hugging Face, timm, Numba, vos
    for variable, name in _OF_LIBRARIES.items():
        os.environ.setdefault(variable, str(folder / name))


def is_writable(folder: Path) -> bool:
    """Return whether files can be made in ``folder``, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _users_cache() -> Path | None:
    """Return the folder of this user's caches, None where the user has no home."""
    given = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(given) if given else Path.home() / ".cache"
    except RuntimeError:  # neither HOME nor an entry among the users of this machine
        return None


@functools.cache
def _temporary_cache() -> Path:
    """Return a folder for caches that is this user's alone.

    What is read from a cache is trusted, so a folder that somebody else could have filled is passed
    over for a new one.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"{_PREFIX}{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError:
        return Path(tempfile.mkdtemp(prefix=_PREFIX))
    others_may_write = not stat.S_ISDIR(facts.st_mode) or facts.st_mode & 0o022
    if others_may_write or facts.st_uid != user:
        return Path(tempfile.mkdtemp(prefix=_PREFIX))
    return folder


@functools.cache
def _warn_of(folder: Path) -> None:
    log.warning(
        "no cache can be written in the home folder: using %s (set VOS_CACHE to a folder that "
        "stays, and nothing is compiled or made again)",
        folder,
    )
