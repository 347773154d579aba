"""The record of a run: its settings, how its items ended, and every file that it wrote.

A record is a file of JSON lines, ``manifest.jsonl`` in the folder of the results (beside them
where the results are a store or a single file). The first line holds the settings. A line of each
file is there *before* the file is, and one more, with its size and digest, when it is complete; so
a run that is killed at any moment owns what it left behind. Of several lines about one thing the
last counts, and a line half written is none.

Ownership is what the record says and never what a name looks like: only files of the record are
replaced or removed, and those that someone changed since only when told to start anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vos.errors import UsageError, VosError
from vos.files import remove, write_text

RECORD = "manifest.jsonl"
FORMAT = "vos-run-2"

log = logging.getLogger("vos")

Reconcile = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Stamp:
    """What a file was when it was written: bytes, nanoseconds, BLAKE2 digest."""

    size: int
    mtime_ns: int
    digest: str

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Return the stamp of a file that is there."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, _digest(path))

    def fits(self, path: Path) -> bool:
        """Tell whether ``path`` is still that file; a copy of it is."""
        status = path.lstat()
        if status.st_size != self.size or not path.is_file() or path.is_symlink():
            return False
        return status.st_mtime_ns == self.mtime_ns or _digest(path) == self.digest


class RunFolder:
    """The results of one run, and the record of it.

    Made by `open`. Its methods may be called from several threads.

    Attributes:
        place: the folder of the results, or the one file that they are.
        record: the file of the record.
        items: how each item ended, by name: ``state`` ("done" or "failed") and what was noted.
    """

    def __init__(self, place: Path, record: Path, settings: Mapping[str, Any]) -> None:
        self.place = place
        self.record = record
        self.settings = dict(settings)
        self.items: dict[str, dict[str, Any]] = {}
        self._files: dict[str, Stamp | None] = {}
        self._patterns: list[str] = []  # of files that a library names
        self._runs: dict[str, str] = {}  # place by record, of runs that are part of this one
        self._recorded: dict[str, Any] = {}
        self._lock = threading.RLock()

    @classmethod
    def open(
        cls,
        place: Path,
        settings: Mapping[str, Any],
        *,
        record: Path | None = None,
        overwrite: bool = False,
        shared: bool = False,
        restart: bool = False,
        outputs: Iterable[Path] = (),
        reconcile: Reconcile = lambda known, _: known,
    ) -> RunFolder:
        """Start a run, or go on with the one of the same settings that is there.

        Args:
            place: folder of the results, made if need be, or the one file that they are.
            settings: what decides the results; plain values for JSON.
            record: None takes ``manifest.jsonl`` in ``place``.
            overwrite: start anew: remove what the record names, and nothing else. A folder of
                other files is written into then, and they stay.
            shared: the folder is someone's: it may hold other files without being told.
            restart: start anew where the settings are others and nothing was done yet.
            outputs: files that will be written; before results are removed to start anew, it is
                seen that these can be written then.
            reconcile: gives, of recorded and wanted settings, the recorded ones as they count now.

        Raises:
            UsageError: there is another run or something else, or a record that is older than
                this version or damaged.
            VosError: the record cannot be read or written.
        """
        run = cls(place, record or place / RECORD, settings)
        found = run._read()
        if found is None:
            if not overwrite and not shared:
                _refuse_foreign(place)
            run._begin()
            return run
        wanted = run._plain_settings()
        changed = "" if overwrite else _changes(reconcile(found, wanted), wanted)
        if changed and (not restart or run.has_results):
            raise _another(place, changed)
        if changed:
            run.check_all()
        if changed or overwrite:
            run._check_anew(outputs)
            run._clear()
            run._begin()
        else:
            run._mend()
            run._tidy()
            if found != wanted:
                run._append({"settings": run.settings})
        return run

    @classmethod
    def check_open(
        cls,
        place: Path,
        settings: Mapping[str, Any],
        *,
        record: Path | None = None,
        overwrite: bool = False,
        reconcile: Reconcile = lambda known, _: known,
    ) -> RunFolder:
        """Raise what `open` would refuse, and write nothing."""
        run = cls(place, record or place / RECORD, settings)
        found = run._read()
        if found is None and not overwrite:
            _refuse_foreign(place)
        if found is not None and not overwrite:
            changed = _changes(reconcile(found, run._plain_settings()), run._plain_settings())
            if changed:
                raise _another(place, changed)
        return run

    @property
    def has_results(self) -> bool:
        """Whether any item was done."""
        return any(map(self.is_done, self.items))

    def is_done(self, name: str) -> bool:
        """Tell whether the item of this name was done."""
        return self.items.get(name, {}).get("state") == "done"

    def note(self, name: str, state: str, **values: Any) -> None:
        """Write down how an item ended.

        Raises:
            VosError: the record cannot be written.
        """
        entry = {"name": name, "state": state, **values}
        with self._lock:
            self.items[name] = entry
            self._append(entry)

    @contextmanager
    def writing(self, *paths: Path) -> Iterator[None]:
        """Write down that the block writes ``paths``, before and after it does.

        Raises:
            UsageError: a file is not of this run, or was changed since it was written.
        """
        known = {name: self._files.get(name) for name in map(self._name, paths)}
        self.claim(paths)
        try:
            yield
        except BaseException:
            self._take_back(known)
            raise
        self.seal(paths)

    def write(self, write: Callable[..., object], path: Path, *arguments: Any) -> None:
        """Call ``write(path, *arguments)``, which writes that file; see `writing`."""
        with self.writing(path):
            write(path, *arguments)

    def claim(self, paths: Iterable[Path]) -> None:
        """Write down files that will be written by this run.

        Raises:
            UsageError: one is there that is not of this run, or was changed since.
            VosError: the record cannot be written.
        """
        paths = list(paths)
        self.check(paths)
        with self._lock:
            names = dict.fromkeys(map(self._name, paths))
            self._files.update(names)
            self._append(*({"file": name} for name in names))

    def claim_named(self, folder: Path, pattern: str) -> None:
        """Write down files that a library will write into ``folder`` under names of its own.

        Raises:
            UsageError: such a file is there that is not of this run.
        """
        name = self._name(folder / pattern)
        if name in self._patterns:
            return
        for path in folder.glob(pattern):
            raise _foreign(path)
        with self._lock:
            self._patterns.append(name)
            self._append({"files": name})

    def seal(self, paths: Iterable[Path]) -> None:
        """Write down what claimed files became, so that a change to them is seen later."""
        with self._lock:
            stamps = {self._name(path): Stamp.of(path) for path in paths}
            self._files.update(stamps)
            self._append(*({"file": name, **vars(stamp)} for name, stamp in stamps.items()))

    def check(self, paths: Iterable[Path]) -> None:
        """See that ``paths`` may be written: that each is free, or of this run and unchanged.

        Raises:
            UsageError: one may not.
        """
        for path in paths:
            if not os.path.lexists(path):
                continue
            name = self._name(path)
            if name not in self._files:
                raise _foreign(path)
            self._refuse_changed(path, self._files[name])

    def check_all(self) -> None:
        """See that no file of this run was changed since it was written.

        Raises:
            UsageError: one was.
        """
        for path, stamp in self._paths():
            if os.path.lexists(path):
                self._refuse_changed(path, stamp)

    def owns(self, path: Path) -> bool:
        """Tell whether the record names ``path``."""
        return self._name(path) in self._files

    def part(self, place: Path, record: Path) -> None:
        """Write down another run, with a record of its own, as a part of this one.

        Starting anew removes what its record names, too.
        """
        with self._lock:
            if self._name(record) not in self._runs:
                self._runs[self._name(record)] = self._name(place)
                self._append({"run": self._name(record), "place": self._name(place)})

    def _check_anew(self, outputs: Iterable[Path]) -> None:
        """See that files can be written once what the record names has been removed.

        A file elsewhere that someone changed since is theirs: the record forgets it.

        Raises:
            UsageError: one cannot.
        """
        for path, stamp in list(self._paths()):
            if not self._is_inside(path) and stamp and path.exists() and not stamp.fits(path):
                del self._files[self._name(path)]
        for path in outputs:
            owned = self._name(path) in self._files and not _is_real_folder(path)
            if os.path.lexists(path) and not owned:
                raise _foreign(path)

    def _is_inside(self, path: Path) -> bool:
        return path == self.place or path.is_relative_to(self.place)

    def _take_back(self, known: Mapping[str, Stamp | None]) -> None:
        """Write down that claimed files were not written: they are what they were before.

        So a file that someone puts there later is no file of this run. What was begun of them goes.
        """
        lines: list[dict[str, Any]] = []
        with self._lock, suppress(VosError, OSError):  # never hide why the block failed
            for name, stamp in known.items():
                if not os.path.lexists(self._path(name)):
                    remove(_unfinished(self._path(name)))
                    del self._files[name]
                    lines.append({"gone": name})
                elif stamp is not None and stamp.fits(self._path(name)):
                    self._files[name] = stamp
                    lines.append({"file": name, **vars(stamp)})
            self._append(*lines)

    def _refuse_changed(self, path: Path, stamp: Stamp | None) -> None:
        other = path.is_symlink() or path.is_dir()
        if other or (stamp is not None and not stamp.fits(path)):
            raise UsageError(
                f"{path} was changed since it was written: move it away, choose another place, "
                "or add `overwrite=True` to start anew without it"
            )

    def _name(self, path: Path) -> str:
        """Return a path as it is recorded: from the record's folder where it is below that."""
        place = Path(os.path.abspath(self.record.parent))  # noqa: PTH100 - links stay
        whole = Path(os.path.abspath(path))  # noqa: PTH100
        return str(whole.relative_to(place) if whole.is_relative_to(place) else whole)

    def _path(self, name: str) -> Path:
        return self.record.parent / name

    def _paths(self) -> Iterator[tuple[Path, Stamp | None]]:
        return ((self._path(name), stamp) for name, stamp in self._files.items())

    def _plain_settings(self) -> dict[str, Any]:
        """Return the settings as the record holds them: tuples have become lists."""
        plain = json.loads(json.dumps(self.settings))
        assert isinstance(plain, dict)
        return plain

    def _begin(self) -> None:
        """Write a record of nothing but the settings, and of files elsewhere that are left."""
        lines = [{"format": FORMAT, "settings": self.settings}]
        for name, stamp in self._files.items():
            lines.append({"file": name, **(vars(stamp) if stamp else {})})
        write_text(self.record, "".join(map(_line, lines)))

    def _append(self, *lines: Mapping[str, Any]) -> None:
        if not lines:
            return
        text = "".join(map(_line, lines))
        try:
            with self.record.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise VosError(f"cannot write {self.record}: {error.strerror or error}") from error

    def _read(self) -> dict[str, Any] | None:
        """Read the record; return its settings, None where there is no record."""
        if self.record.is_symlink():
            raise UsageError(f"{self.record} is a link, and no record: choose another place")
        try:
            text = self.record.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise VosError(f"cannot read {self.record}: {error}") from error
        lines = [_parsed(line) for line in text.splitlines()]
        header = lines[0] if lines else None
        if not isinstance(header, dict) or not isinstance(header.get("settings"), dict):
            raise UsageError(
                f"{self.record} is damaged, or not the record of a run of vos: "
                "choose another place, or remove it"
            )
        if header.get("format") != FORMAT:
            raise UsageError(
                f"{self.record} is of an older version of vos: choose another place, "
                "or remove what that version wrote"
            )
        self._recorded = header["settings"]
        for entry in lines[1:]:
            if isinstance(entry, dict):
                self._take(entry)
        return self._recorded

    def _mend(self) -> None:
        """Leave out a line half written; and copy a record that has another name (a hard link),
        so that what goes on here does not change what the other name shows."""
        text = self.record.read_text(encoding="utf-8")
        if not text.endswith("\n") or self.record.stat().st_nlink > 1:
            write_text(self.record, text[: text.rfind("\n") + 1])

    def _take(self, entry: dict[str, Any]) -> None:
        """Take a line of the record; one that is damaged is none, and what it said is not owned."""
        match entry:
            case {"file": str(name), "size": int(size), "mtime_ns": int(time), "digest": str(text)}:
                self._files[name] = Stamp(size, time, text)
            case {"file": str(name)} if len(entry) == 1:
                self._files[name] = None
            case {"gone": str(name)}:
                self._files.pop(name, None)
            case {"files": str(pattern)}:
                self._patterns.append(pattern)
            case {"settings": dict(settings)}:
                self._recorded = settings
            case {"run": str(record), "place": str(place)}:
                self._runs[record] = place
            case {"name": str(name), "state": str()}:
                self.items[name] = entry

    def _tidy(self) -> None:
        """Remove the files beside those that were being written when the run was killed."""
        for path, stamp in self._paths():
            if stamp is None:
                remove(_unfinished(path))

    def _clear(self) -> None:
        """Remove what the record names below the place of the results, changed or not."""
        for record, place in self._runs.items():
            part = RunFolder(self._path(place), self._path(record), {})
            if part._read() is not None:
                part._clear()
                remove([part.record])
                for folder in (part.place, part.record.parent):
                    _remove_empty(folder, self.place)
        inside: dict[str, Stamp | None] = {}
        outside: dict[str, Stamp | None] = {}
        for name, stamp in self._files.items():
            (inside if self._is_inside(self._path(name)) else outside)[name] = stamp
        for name, stamp in inside.items():
            path = self._path(name)
            if not path.is_dir():
                remove([path])
            if stamp is None:
                remove(_unfinished(path))
        for pattern in self._patterns:
            remove(self.record.parent.glob(pattern))
        emptied = {self._path(name).parent for name in (*inside, *self._patterns)}
        for folder in sorted(emptied, reverse=True):
            _remove_empty(folder, self.place)
        self._files, self._runs, self._patterns, self.items = outside, {}, [], {}
        left = [path for path in _visible(self.place) if path != self.record]
        if left:
            log.warning(
                "%s: left what this run did not write (%s%s)",
                self.place,
                min(path.name for path in left),
                f", and {len(left) - 1} more" if len(left) > 1 else "",
            )


def record_beside(path: Path) -> Path:
    """Return where the record of a store or a single file is: ``clip.zarr.manifest.jsonl``."""
    return path.with_name(f"{path.name}.{RECORD}")


def check_owned(command: str, path: Path) -> None:
    """Raise, before the work, what `write_owned` would refuse."""
    run = RunFolder.check_open(path, {"command": command}, record=record_beside(path))
    run.check([path])


def write_owned(command: str, path: Path, write: Callable[..., object], *arguments: Any) -> None:
    """Call ``write(path, *arguments)``, with a record beside, so that it is replaced later.

    Raises:
        UsageError: the file is there and is not of this command, or was changed since.
    """
    run = RunFolder.open(path, {"command": command}, record=record_beside(path))
    run.write(write, path, *arguments)


def _foreign(path: Path) -> UsageError:
    return UsageError(
        f"{path} is there and is not of this run: move it away, or choose another place"
    )


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _refuse_foreign(place: Path) -> None:
    if place.is_file():
        raise UsageError(f"{place} is there and is not of this run: choose another place")
    others = _visible(place)
    if not others:
        return
    if any((place / name).is_file() for name in ("run.json", "state.pt")):
        raise UsageError(
            f"{place} holds a run of an older version of vos: choose another place, "
            "or remove what that version wrote"
        )
    raise UsageError(
        f"{place} holds files of something else ({min(path.name for path in others)}): choose "
        "another place, or add `overwrite=True` to write beside them"
    )


def _changes(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Say which of the recorded settings are not those that are wanted now; "" if none."""
    names = [*wanted, *(name for name in known if name not in wanted)]
    return ", ".join(
        f"{name} ({_difference(known.get(name), wanted.get(name))})"
        for name in names
        if known.get(name) != wanted.get(name)
    )


def _another(place: Path, changed: str) -> UsageError:
    return UsageError(
        f"{place} holds a run with another {changed}: choose another place, "
        "or add `overwrite=True` to start anew"
    )


def _difference(known: Any, wanted: Any) -> str:
    if isinstance(known, dict) and isinstance(wanted, dict):
        names = [*wanted, *(name for name in known if name not in wanted)]
        changed = [name for name in names if known.get(name) != wanted.get(name)]
        return ", ".join(
            f"{name}: {_shown(known, name)}, now {_shown(wanted, name)}" for name in changed
        )
    return f"{known}, now {wanted}"


def _shown(values: Mapping[str, Any], name: str) -> str:
    return str(values[name]) if name in values else "none"


def _visible(folder: Path) -> list[Path]:
    """List what a folder holds, hidden files (those of macOS, say) aside; [] if there is none."""
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise VosError(f"cannot read {folder}: {error.strerror or error}") from error


def _unfinished(path: Path) -> list[Path]:
    """List the temporary files of `vos.files.atomic_path` (and of zarr) for ``path``."""
    stem, suffix = re.escape(path.stem), re.escape(path.suffix)
    pattern = re.compile(rf"\.{stem}\.\d+{suffix}|{re.escape(path.name)}\.[0-9a-f]+\.partial")
    try:
        return [each for each in path.parent.iterdir() if pattern.fullmatch(each.name)]
    except OSError:
        return []


def _remove_empty(folder: Path, top: Path) -> None:
    """Remove a folder below ``top`` and its parents up to there, as far as they are empty."""
    while folder != top and folder.is_relative_to(top):
        with suppress(OSError):
            folder.rmdir()
        folder = folder.parent


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _line(value: Mapping[str, Any]) -> str:
    # Escaped, because names that are not UTF-8 are strings that cannot be encoded.
    return json.dumps(value, ensure_ascii=True) + "\n"


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
