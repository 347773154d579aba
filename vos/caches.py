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

# Where libraries keep what they have downloaded or compiled, unless these variables say otherwise.
_OF_LIBRARIES = {
    "XDG_CACHE_HOME": "",  # torch.hub, Hugging Face, timm, fonts
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
    if users is not None and ((users / "vos" / name).exists() or is_writable(users / "vos")):
        return users / "vos" / name
    return _temporary_cache(users) / name


def give_libraries_a_cache() -> None:
    """Let the caches of libraries lie in the temporary folder where the user's cannot be written.

    Sets environment variables that are not set yet: for programs, not for functions of a library.
    """
    users = _users_cache()
    if users is not None and is_writable(users):
        return
    for variable, name in _OF_LIBRARIES.items():
        if variable != "XDG_CACHE_HOME":
            os.environ.setdefault(variable, str(_temporary_cache(users) / name))
    os.environ["XDG_CACHE_HOME"] = str(_temporary_cache(users))


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
def _temporary_cache(instead_of: Path | None) -> Path:
    """Return a folder for caches that is this user's alone, and say so once.

    What is read from a cache is trusted, so a folder that somebody else could have filled is passed
    over for a new one.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"vos-cache-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
        private = stat.S_ISDIR(facts.st_mode) and not facts.st_mode & 0o077
        if not private or (hasattr(os, "getuid") and facts.st_uid != user):
            raise OSError
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="vos-cache-"))
    log.warning(
        "no cache can be written in %s: using %s (set VOS_CACHE to a folder that stays, and "
        "nothing is compiled or made again)",
        instead_of or "a home folder",
        folder,
    )
    return folder
