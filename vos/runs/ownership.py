"""Which files are of a run: what its record says it wrote, and what it may therefore replace.

A file is in the record before it has its name, with its size and digest; so a run that is killed at
any moment owns what it left behind, and nothing else. Ownership is what the record says and never
what a name looks like: only files of the record are replaced or removed, and those that someone
changed since only when told to start anew. Whatever a record says, nothing outside the place of the
results is removed.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vos.errors import VosError
from vos.files import before_placing, remove
from vos.runs.outside import is_left_over, list_outside
from vos.runs.record import Stamp, append_lines
from vos.runs.refusals import advise, changed, foreign

_TEMPORARY = re.compile(r"\.(.+)\.\d+(\.[^.]+)?|(.+)\.[0-9a-f]+\.partial")


class OwnedFiles:
    """The files that a record names. Its methods may be called from several threads.

    Attributes:
        place: the folder of the results, or the one file that they are.
        record: the file of the record.
        can_start_anew: whether a person can be told to do so.
    """

    def __init__(self, place: Path, record: Path, *, can_start_anew: bool = True) -> None:
        self.place = place
        self.record = record
        self.can_start_anew = can_start_anew
        # What was written under a name, the last of it last; of a claimed file there is nothing.
        self._files: dict[str, list[Stamp]] = {}
        self._begun: set[str] = set()  # names of files that were being written
        self._patterns: list[str] = []  # of files that a library names
        self._lock = threading.RLock()

    @contextmanager
    def writing(self, *paths: Path) -> Iterator[None]:
        """Write down what the block writes, whole and by `vos.files.atomic_path`, to ``paths``.

        What a file is, is written down just before it has its name. So whatever is there after a
        crash, and is something else, is no file of this run.

        Raises:
            UsageError: a file is not of this run, or was changed since it was written.
        """
        self.check(paths)
        names = [self._name(path) for path in paths]
        with self._lock:
            self._begun.update(names)
            append_lines(self.record, *({"writing": name} for name in names))

        def write_down(temporary: Path, path: Path) -> None:
            if self._name(path) in names:
                self._stamp(path, Stamp.of(temporary))

        try:
            with before_placing(write_down):
                yield
        except BaseException:
            self._take_back(names)
            raise
        self.seal(paths)

    def write(self, write: Callable[..., object], path: Path, *arguments: Any) -> None:
        """Call ``write(path, *arguments)``, which writes that file; see `writing`."""
        with self.writing(path):
            write(path, *arguments)

    @contextmanager
    def claiming(self, *paths: Path) -> Iterator[None]:
        """Claim what a library writes in the block in ways of its own, and seal it afterwards."""
        self.claim(paths)
        yield
        self.seal(paths)

    def claim(self, paths: Iterable[Path]) -> None:
        """Write down files in the folder that are of this run from now on, whatever they become.

        Raises:
            UsageError: one is there that is not of this run, or was changed since.
            VosError: the record cannot be written.
        """
        paths = list(paths)
        self.check(paths)
        with self._lock:
            names = list(map(self._name, paths))
            self._files.update((name, []) for name in names)
            append_lines(self.record, *({"file": name} for name in names))

    def claim_named(self, folder: Path, pattern: str) -> None:
        """Write down files that a library will write into ``folder`` under names of its own.

        Raises:
            UsageError: such a file is there that is not of this run.
        """
        name = self._name(folder / pattern)
        if name in self._patterns:
            return
        for path in folder.glob(pattern):
            raise foreign(path)
        with self._lock:
            self._patterns.append(name)
            append_lines(self.record, {"files": name})

    def seal(self, paths: Iterable[Path]) -> None:
        """Write down what files became, so that a change to them is seen later."""
        for path in paths:
            known = self._files.get(self._name(path))
            if not known or not known[-1].fits(path):
                self._stamp(path, Stamp.of(path))

    def check(self, paths: Iterable[Path]) -> None:
        """See that ``paths`` may be written: that each is free, or of this run and unchanged.

        Raises:
            UsageError: one may not.
        """
        for path in paths:
            if not os.path.lexists(path):
                continue
            name = self._name(path)
            if name in self._files:
                self._refuse_changed(path, self._files[name])
            elif self._is_inside(path) or not is_left_over(_absolute(path)):
                raise foreign(path)

    def check_all(self) -> None:
        """See that no file of this run was changed since it was written.

        Raises:
            UsageError: one was.
        """
        for name, stamps in self._files.items():
            if os.path.lexists(self._path(name)):
                self._refuse_changed(self._path(name), stamps)

    def owns(self, path: Path) -> bool:
        """Tell whether the record names ``path``."""
        return self._name(path) in self._files

    def _stamp(self, path: Path, stamp: Stamp) -> None:
        with self._lock:
            self._files.setdefault(self._name(path), []).append(stamp)
            append_lines(self.record, {"file": self._name(path), **vars(stamp)})
        if not self._is_inside(path):
            list_outside(_absolute(path), stamp, _absolute(self.record))

    def _check_anew(self, outputs: Iterable[Path]) -> None:
        """See that files can be written once what the record names has been removed.

        A file elsewhere that someone changed since is theirs: the record forgets it.

        Raises:
            UsageError: one cannot.
        """
        for name, stamps in list(self._files.items()):
            path = self._path(name)
            if not self._is_inside(path) and path.exists() and not _fits(path, stamps):
                del self._files[name]
        for path in outputs:
            if not self.owns(path) or _is_real_folder(path):
                self.check([path])

    def _take_back(self, names: Iterable[str]) -> None:
        """Write down which files were not written: what someone puts there later is no file of
        this run. What was begun of them goes."""
        with self._lock, suppress(VosError, OSError):  # never hide why the block failed
            remove(temporary for _, temporary in _unfinished(map(self._path, names)))
            for name in names:
                if not os.path.lexists(self._path(name)):
                    self._files.pop(name, None)
                    append_lines(self.record, {"gone": name})

    def _refuse_changed(self, path: Path, stamps: list[Stamp]) -> None:
        other = path.is_symlink() or path.is_dir()
        if other or (stamps and not _fits(path, stamps)):
            helps = self.can_start_anew and self._is_inside(path)
            raise changed(path, advise(helps, "start anew without it"))

    def _take_file(self, line: dict[str, Any]) -> None:
        """Take a line of the record; one that is damaged is none, and what it said is not owned."""
        match line:
            case {"file": str(name), "size": int(size), "mtime_ns": int(time), "digest": str(text)}:
                known = self._files.setdefault(self._name(self._path(name)), [])
                known.append(Stamp(size, time, text))
            case {"file": str(name)} if len(line) == 1 and self._is_inside(self._path(name)):
                self._files[name] = []
            case {"writing": str(name)}:
                self._begun.add(name)
            case {"gone": str(name)}:
                self._files.pop(name, None)
            case {"files": str(pattern)} if pattern and not Path(pattern).is_absolute():
                self._patterns.append(pattern)

    def _forget_unplaced(self) -> None:
        """Take back what was to be written when the run was killed before it had its name."""
        for path, temporary in list(self._temporaries()):
            name = self._name(path)
            known = self._files.get(name)
            if known and known[-1].fits(temporary):
                known.pop()
                if not known:
                    del self._files[name]
                append_lines(
                    self.record,
                    {"gone": name},
                    *({"file": name, **vars(stamp)} for stamp in known),
                )

    def _tidy(self, outputs: Iterable[Path]) -> None:
        """Remove the files beside those that were being written when the run was killed."""
        self._forget_unplaced()
        named = set(map(_absolute, outputs))
        for path, temporary in self._temporaries():
            if path in named or self._is_inside(path):
                remove([temporary])

    def _remove_inside(self) -> None:
        """Remove what the record names in the place of the results, changed or not."""
        self._forget_unplaced()
        inside = {name for name in self._files if self._is_inside(self._path(name))}
        remove(path for path in map(self._path, inside) if not _is_real_folder(path))
        remove(each for path, each in self._temporaries() if self._is_inside(path))
        for pattern in self._patterns:
            found = [_absolute(path) for path in self.record.parent.glob(pattern)]
            remove(filter(self._is_inside, found))
        for folder in {
            self._path(name).parent for name in (*inside, *self._begun, *self._patterns)
        }:
            self._remove_empty(folder)
        self._files = {name: self._files[name] for name in self._files.keys() - inside}
        self._begun, self._patterns = set(), []

    def _remove_empty(self, folder: Path) -> None:
        """Remove a folder below the place and those around it up to there, if they are empty."""
        while folder != _absolute(self.place) and self._is_inside(folder):
            with suppress(OSError):
                folder.rmdir()
            folder = folder.parent

    def _temporaries(self) -> Iterator[tuple[Path, Path]]:
        claimed = {name for name, stamps in self._files.items() if not stamps}
        return _unfinished(map(self._path, self._begun | claimed))

    def _is_inside(self, path: Path) -> bool:
        """Tell whether a path is (in) the place of the results, wherever links lead."""
        return _absolute(path) == _absolute(self.place) or is_below(path, self.place)

    def _name(self, path: Path) -> str:
        """Return a path as it is recorded: from the record's folder on where results and record
        lie in one folder, so that they may move together."""
        folder, whole = _absolute(self.record.parent), _absolute(path)
        if whole.is_relative_to(folder) or whole.is_relative_to(_absolute(self.place)):
            return os.path.relpath(whole, folder)
        return str(whole)

    def _path(self, name: str) -> Path:
        return _absolute(self.record.parent / name)


def is_below(path: Path, folder: Path) -> bool:
    """Tell whether ``path`` is in ``folder``, wherever links lead; a link itself is where it is."""
    path = _absolute(path)
    return (path.parent.resolve() / path.name).is_relative_to(folder.resolve())


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - links stay


def _fits(path: Path, stamps: Iterable[Stamp]) -> bool:
    return any(stamp.fits(path) for stamp in stamps)


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _unfinished(paths: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield the temporary files of `vos.files.atomic_path` (and of zarr), each behind the path
    that it is for."""
    by_folder: dict[Path, set[str]] = {}
    for path in paths:
        by_folder.setdefault(path.parent, set()).add(path.name)
    for folder, names in by_folder.items():
        try:
            entries = list(folder.iterdir())
        except OSError:
            continue
        for entry in entries:
            found = _TEMPORARY.fullmatch(entry.name)
            name = "".join(filter(None, found.groups())) if found else ""
            if name in names:
                yield folder / name, entry
