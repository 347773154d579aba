"""All sessions of a server: found by a secret token, removed when they end or expire."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil

from vos.demo.limits import Limits
from vos.demo.session import Session
from vos.errors import UsageError, VosError
from vos.machine import is_running

_PREFIX = "vos-demo-"
_OWNER = "server"  # file of the server's process, when that began, and the name of the folder
_SWEEP_SECONDS = 20.0
_SILENT_SECONDS = 600.0  # a server that is alive says so at each sweep
_RELOAD_SECONDS = 10.0  # a page that was left for longer is not being loaded anew


class NoPlaceError(VosError):
    """As many people are at work as the server lets in."""


class SessionStore:
    """Sessions by token. A token is made by the page of a visitor and never leaves that tab.

    Args:
        folder: where a folder for all sessions' files is made; that of temporary files unless
            given.
        limits: of each session, and of their number.
    """

    def __init__(self, limits: Limits | None = None, *, folder: Path | None = None) -> None:
        self.limits = limits or Limits()
        self.root = _own_folder(folder or Path(tempfile.gettempdir()))
        self._sessions: dict[str, Session] = {}
        self._visits: dict[str, str] = {}  # token by page view; a reload makes a new view
        self._lock = threading.Lock()
        self._ended = threading.Event()
        threading.Thread(target=self._sweep_for_ever, daemon=True).start()

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, token: str, view: str | None = None) -> Session:
        """Return the session of ``token``, a new one if it has none.

        Where all places are taken, somebody who left gives up theirs: at once where nothing would
        be lost, then who left the longest ago.

        Args:
            view: the page view that shows the session.

        Raises:
            UsageError: not a token.
            NoPlaceError: too many people are at work.
        """
        name = _folder_name(token)
        self.sweep()
        with self._lock:
            if name not in self._sessions and len(self._sessions) >= self.limits.sessions:
                left = self._longest_left()
                if left is None:
                    raise NoPlaceError("Too many people are at work here: come back in a while")
                self._sessions.pop(left).close()
            if name not in self._sessions:
                self._sessions[name] = Session(self.root / "sessions" / name, self.limits)
            session = self._sessions[name]
            session.touched, session.closed_at = time.monotonic(), None
            if view is not None:
                self._visits[view] = token
            return session

    def check_room(self) -> None:
        """See that there is room for another file.

        Raises:
            VosError: the files of all sessions together have reached their limit.
        """
        files = {}  # by what they are on the disk: some have two names
        for path in self.root.rglob("*"):
            with suppress(FileNotFoundError):  # of a session that ends just now
                known = path.lstat()
                if stat.S_ISREG(known.st_mode):
                    files[known.st_dev, known.st_ino] = known.st_size
        if sum(files.values()) >= 1e9 * self.limits.gigabytes:
            raise VosError("The disk of this server is full: come back when others have left")

    def _longest_left(self) -> str | None:
        """Return whose page was closed first, with no work in it or not being loaded anew."""
        past = time.monotonic() - _RELOAD_SECONDS
        left = {
            name: (session.has_clip, session.closed_at)
            for name, session in self._sessions.items()
            if session.closed_at is not None
            and not session.busy
            and (session.closed_at < past or not session.has_clip)
        }
        return min(left, key=lambda name: left[name], default=None)

    def get(self, token: str) -> Session:
        """Return the open session of ``token``.

        Raises:
            VosError: it has ended, with its files.
        """
        with self._lock:
            session = self._sessions.get(_folder_name(token))
        if session is None:
            raise VosError("This session has ended and its files are removed: reload the page")
        session.touched = time.monotonic()
        return session

    def end(self, token: str) -> None:
        """End the session of ``token`` and remove its files."""
        with self._lock:
            session = self._sessions.pop(_folder_name(token), None)
        if session is not None:
            session.close()

    def leave(self, view: str) -> None:
        """A page view was closed, or is being loaded anew: keep the work for a short while."""
        with self._lock:
            token = self._visits.pop(view, None)
            if token is None or token in self._visits.values():
                return
            session = self._sessions.get(_folder_name(token))
            if session is not None:
                session.closed_at = time.monotonic()

    def sweep(self) -> None:
        """Remove the sessions that nobody came back to."""
        now = time.monotonic()
        with self._lock:
            expired = [name for name, session in self._sessions.items() if self._over(session, now)]
            ended = [self._sessions.pop(name) for name in expired]
        for session in ended:
            session.close()

    def end_all(self) -> None:
        """End all sessions and remove their files."""
        with self._lock:
            sessions = list(self._sessions.values())
            self._sessions.clear()
        for session in sessions:
            session.close()

    def close(self) -> None:
        """End all sessions and remove all files."""
        self._ended.set()
        self.end_all()
        shutil.rmtree(self.root, ignore_errors=True)

    def _over(self, session: Session, now: float) -> bool:
        if session.closed_at is not None and now - session.closed_at > self.limits.closed_seconds:
            return True
        return not session.busy and now - session.touched > self.limits.idle_seconds

    def _sweep_for_ever(self) -> None:
        while not self._ended.wait(_SWEEP_SECONDS):
            self.sweep()
            with suppress(OSError):
                os.utime(self.root / _OWNER)


def _own_folder(place: Path) -> Path:
    """Make a folder in ``place``, and remove those of servers that were killed."""
    place.mkdir(parents=True, exist_ok=True)
    for old in place.glob(f"{_PREFIX}*"):
        with suppress(OSError, ValueError):  # of others, or of another version
            process, started, name = (old / _OWNER).read_text().split()
            silent = time.time() - (old / _OWNER).stat().st_mtime > _SILENT_SECONDS
            # A copy that somebody made bears another name.
            if name == old.name and silent and not is_running(int(process), float(started)):
                shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    own = psutil.Process()
    (folder / _OWNER).write_text(f"{own.pid} {own.create_time()} {folder.name}")
    return folder


def _folder_name(token: str) -> str:
    """Folders are named by a digest: who reads one does not learn the token."""
    if not isinstance(token, str) or not re.fullmatch(r"[0-9a-f]{32,128}", token):
        raise UsageError("Reload the page: its session is not known")
    return hashlib.sha256(token.encode()).hexdigest()[:32]
