"""No output may be an input: the one check of all that write, made before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from vos.caches import is_writable
from vos.errors import UsageError, VosError


def _everything(_: str) -> bool:
    return True


@dataclass(frozen=True)
class Input:
    """A file or folder that is read.

    Attributes:
        what: its name in messages: "the video", "a mask".
        path: where it is; it need not exist.
        takes: of a folder, whether something of this name in it would be read as well. An output
            may lie below an input folder only where it would not.
        files: of a folder, the files that are read. They are looked at where an output is there
            already: it may be one of them by another name.
    """

    what: str
    path: Path
    takes: Callable[[str], bool] = _everything
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Output:
    """A file, or a folder of files, that is written.

    Attributes:
        what: its name in messages: "the overlay".
        path: where it is to be.
        folder: whether it is a folder.
    """

    what: str
    path: Path
    folder: bool = False


def check_paths(inputs: Iterable[Input], outputs: Iterable[Output]) -> None:
    """See that no output is an input, or another output.

    Paths are compared as they resolve, through links; files that are there by what they are, so
    that another hard link to an input is an input.

    Raises:
        UsageError: an output is an input, holds one, or lies where it would be read as one; two
            outputs are one file; a file stands where a folder is to be, or a folder where a file.
        VosError: an output that is not there yet cannot be written.
    """
    inputs = list(inputs)
    outputs = list(outputs)
    by_path = {_resolved(each.path): each for each in inputs}
    folders = {path: each for path, each in by_path.items() if path.is_dir()}
    holders: dict[Path, Input] = {}
    for path, each in by_path.items():
        for parent in path.parents:
            holders.setdefault(parent, each)
    known_files: dict[tuple[int, int], Input] | None = None
    written: dict[Path, Output] = {}
    for output in outputs:
        path = _resolved(output.path)
        if path in by_path:
            verb = "holds" if output.folder else "is"
            raise _refusal(output, f"{verb} {by_path[path].what}")
        if output.folder and path in holders:
            raise _refusal(output, f"holds {holders[path].what} ({holders[path].path})")
        _check_surroundings(output, path, folders)
        _check_kind(output, path)
        if path.is_file():
            known_files = _identities(inputs) if known_files is None else known_files
            same = known_files.get(_identity(path))
            if same is not None:
                raise _refusal(output, f"is another name of {same.what}")
        other = written.setdefault(path, output)
        if other is not output:
            raise UsageError(
                f"{output.path} would be both {other.what} and {output.what}: "
                "give each a name of its own"
            )
        if not path.exists():
            _check_writable(path)


def _check_writable(path: Path) -> None:
    """See, before long work, that something can be made in the nearest folder that is there."""
    folder = next((above for above in path.parents if above.exists()), path)
    if not is_writable(folder):
        raise VosError(f"cannot write {path}: the folder {folder} cannot be written to")


def _check_surroundings(output: Output, path: Path, folders: dict[Path, Input]) -> None:
    """Refuse a place below an input folder where the output would be read with it."""
    below = path
    for parent in path.parents:
        each = folders.get(parent)
        if each is not None and each.takes(below.name):
            raise _refusal(output, f"lies in {each.what} ({each.path}), and would be read with it")
        below = parent


def _check_kind(output: Output, path: Path) -> None:
    for place in (output.path, *output.path.parents):
        if place.is_symlink() and not place.exists():
            raise UsageError(
                f"{place} is a link to {place.readlink()}, which is not there: make that, or "
                f"choose another place for {output.what}"
            )
    for parent in path.parents:
        if parent.is_file():
            raise UsageError(
                f"{parent} is a file, not a folder: choose another place than {output.path} for "
                f"{output.what}"
            )
    if output.folder and path.exists() and not path.is_dir():
        raise UsageError(f"{output.path} is a file: choose a folder for {output.what}")
    if not output.folder and path.is_dir():
        raise UsageError(f"{output.path} is a folder: give {output.what} the name of a file")


def _refusal(output: Output, why: str) -> UsageError:
    return UsageError(f"{output.path} {why}: choose another place for {output.what}")


def _identities(inputs: list[Input]) -> dict[tuple[int, int], Input]:
    """Map device and number of every input file that is there to the input."""
    found: dict[tuple[int, int], Input] = {}
    for each in inputs:
        for path in (each.path, *each.files):
            if path.is_file():
                found.setdefault(_identity(path), each)
    return found


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _resolved(path: Path) -> Path:
    """Return the absolute path behind links; of what is not there, as far as there are any."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # links in a circle
        raise UsageError(f"{path} cannot be followed: {error}") from error
