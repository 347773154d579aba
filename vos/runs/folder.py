"""The folder of a run: its settings, how its items ended, and every file that it wrote.

All of that is in a record, ``manifest.jsonl`` in the folder of the results (beside them where the
results are a store or a single file).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vos.errors import UsageError
from vos.files import remove
from vos.runs.at_work import be_alone
from vos.runs.ownership import OwnedFiles, is_below
from vos.runs.record import (
    RECORD,
    append_lines,
    begin_record,
    mend_record,
    read_record,
    record_beside,
)
from vos.runs.refusals import advise, another, differences, refuse_foreign, visible

PARTS = "manifests"  # folder of the records of the items, where each has one of its own

log = logging.getLogger("vos")

Reconcile = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


class RunFolder(OwnedFiles):
    """The results of one run, and the record of it.

    Made by `open`. Its methods may be called from several threads.

    Attributes:
        settings: what decides the results.
        items: how each item ended, by name: ``state`` ("done" or "failed") and what was noted.
    """

    def __init__(
        self,
        place: Path,
        record: Path,
        settings: Mapping[str, Any],
        *,
        can_start_anew: bool = True,
    ) -> None:
        super().__init__(place, record, can_start_anew=can_start_anew)
        self.settings = dict(settings)
        self.items: dict[str, dict[str, Any]] = {}
        self._parts: dict[str, str] = {}  # place by record, of runs that are part of this one
        self._recorded: dict[str, Any] = {}

    @classmethod
    def open(
        cls,
        place: Path,
        settings: Mapping[str, Any],
        *,
        record: Path | None = None,
        overwrite: bool | None = False,
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
                other files is written into then, and they stay. None, of a command that has no
                such choice: as False, and nobody is told to make it.
            shared: the folder is someone's: it may hold other files without being told.
            restart: start anew where the settings are others and nothing was done yet.
            outputs: files that will be written; before results are removed to start anew, it is
                seen that these can be written then.
            reconcile: gives, of recorded and wanted settings, the recorded ones as they count now.

        Raises:
            UsageError: there is another run or something else, a record that is older than this
                version or damaged, or another process that is at work there.
            VosError: the record cannot be read or written.
        """
        outputs = list(outputs)
        run = cls(place, record or place / RECORD, settings, can_start_anew=overwrite is not None)
        if not run.record.parent.name.endswith(PARTS):  # a part has one worker at a time
            be_alone(run, place, run.record)
        found = run._read()
        if found is None:
            if overwrite:
                run._check_anew(outputs)
            elif not shared:
                refuse_foreign(place, outputs, can_start_anew=run.can_start_anew)
            run._begin()
            return run
        wanted = run._plain_settings()
        difference = "" if overwrite else differences(reconcile(found, wanted), wanted)
        if difference and (not restart or run.has_results):
            raise run._another(difference)
        if difference:
            run.check_all()
        if difference or overwrite:
            run._check_anew(outputs)
            run._clear()
            run._tell_of_old(outputs)
            run._begin()
        else:
            mend_record(run.record)
            run._tidy(outputs)
            if found != wanted:
                append_lines(run.record, {"settings": run.settings})
        return run

    @classmethod
    def check_open(
        cls,
        place: Path,
        settings: Mapping[str, Any],
        *,
        record: Path | None = None,
        overwrite: bool | None = False,
        reconcile: Reconcile = lambda known, _: known,
    ) -> RunFolder:
        """Raise what `open` would refuse, and write nothing."""
        run = cls(place, record or place / RECORD, settings, can_start_anew=overwrite is not None)
        found = run._read()
        if overwrite:
            return run
        if found is None:
            refuse_foreign(place, (), can_start_anew=run.can_start_anew)
        else:
            wanted = run._plain_settings()
            difference = differences(reconcile(found, wanted), wanted)
            if difference:
                raise run._another(difference)
        return run

    @property
    def parts(self) -> Path:
        """The folder of the records of the parts, beside that of the run; see `part`."""
        beside = self.record.name.removesuffix(RECORD)  # "" in a folder, "all.zarr." of a store
        return self.record.parent / f"{beside}{PARTS}"

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
            append_lines(self.record, entry)

    def part(self, place: Path, record: Path) -> None:
        """Write down another run, with a record of its own, as a part of this one.

        Starting anew removes what its record names, too.
        """
        with self._lock:
            if self._name(record) not in self._parts:
                self._parts[self._name(record)] = self._name(place)
                append_lines(self.record, {"run": self._name(record), "place": self._name(place)})

    def _another(self, difference: str) -> UsageError:
        return another(self.place, difference, advise(self.can_start_anew, "start anew"))

    def _plain_settings(self) -> dict[str, Any]:
        """Return the settings as the record holds them: tuples have become lists."""
        plain = json.loads(json.dumps(self.settings))
        assert isinstance(plain, dict)
        return plain

    def _begin(self) -> None:
        """Write a record of nothing but the settings, and of files elsewhere that are left."""
        left = [
            {"file": name, **vars(stamp)} for name, known in self._files.items() for stamp in known
        ]
        begin_record(self.record, self.settings, *left)

    def _read(self) -> dict[str, Any] | None:
        """Read the record; return its settings, None where there is no record."""
        found = read_record(self.record)
        if found is None:
            return None
        self._recorded, lines = found
        for line in lines:
            self._take(line)
        return self._recorded

    def _take(self, line: dict[str, Any]) -> None:
        """Take a line of the record; one that is damaged is none."""
        match line:
            case {"settings": dict(settings)}:
                self._recorded = settings
            case {"run": str(record), "place": str(place)}:
                self._parts[record] = place
            case {"name": str(name), "state": str()}:
                self.items[name] = line
            case _:
                self._take_file(line)

    def _clear(self) -> None:
        """Remove what the record and those of the parts name in the place of the results."""
        for part in self._parts_inside():
            if part._read() is not None:
                part._clear()
                remove([part.record])
                self._remove_empty(part.place)
                self._remove_empty(part.record.parent)
        self._remove_inside()
        self._parts, self.items = {}, {}
        left = [path for path in visible(self.place) if path != self.record]
        if left:
            log.warning(
                "%s: left what this run did not write (%s%s)",
                self.place,
                min(path.name for path in left),
                f", and {len(left) - 1} more" if len(left) > 1 else "",
            )

    def _tell_of_old(self, outputs: Iterable[Path]) -> None:
        """Say which files elsewhere, such as an overlay, stay as the run before made them."""
        wanted = {self._name(path) for path in outputs}
        old = [self._path(name) for name in self._files if name not in wanted]
        if wanted and (left := [str(path) for path in old if path.exists()]):
            log.warning("%s: of the run before, and not made anew", ", ".join(sorted(left)))

    def _parts_inside(self) -> Iterator[RunFolder]:
        """Yield the runs that are a part of this one, in its place and with records of its own."""
        for record, place in self._parts.items():
            part = RunFolder(self._path(place), self._path(record), {})
            of_this = self._is_inside(part.record) or is_below(part.record, self.parts)
            if of_this and self._is_inside(part.place):
                yield part


def check_owned(command: str, path: Path) -> None:
    """Raise, before the work, what `write_owned` would refuse."""
    run = RunFolder.check_open(
        path, {"command": command}, record=record_beside(path), overwrite=None
    )
    run.check([path])


def write_owned(command: str, path: Path, write: Callable[..., object], *arguments: Any) -> None:
    """Call ``write(path, *arguments)``, with a record beside, so that it is replaced later.

    Raises:
        UsageError: the file is there and is not of this command, or was changed since.
    """
    run = RunFolder.open(path, {"command": command}, record=record_beside(path), overwrite=None)
    run.write(write, path, *arguments)
