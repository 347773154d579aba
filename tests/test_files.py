"""Files appear whole or not at all, and failures name the file and what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vos.errors import VosError
from vos.files import atomic_path, read_json, remove, write_json, write_text


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a b.txt"
    with atomic_path(path) as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("é")
        assert not path.exists()
    assert path.read_text() == "é"
    assert list(path.parent.iterdir()) == [path]


def test_nothing_is_left_when_the_block_fails(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "before")
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


@pytest.mark.parametrize("below", ["a.txt", "deep/er/a.txt"])
def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path, below: str) -> None:
    (tmp_path / "notes").write_text("")
    with pytest.raises(VosError, match=r"a\.txt: .*notes is a file, not a folder$"):
        write_text(tmp_path / "notes" / below, "")


@pytest.mark.parametrize(
    ("code", "advice"), [(errno.ENOSPC, "free some space"), (errno.EROFS, "choose a folder")]
)
def test_a_full_or_read_only_disk_comes_with_advice(tmp_path: Path, code: int, advice: str) -> None:
    with pytest.raises(VosError, match=rf"cannot write .*a\.txt: .*: {advice}"):  # noqa: SIM117
        with atomic_path(tmp_path / "a.txt"):
            raise OSError(code, "message of the system")


def test_json_round_trip_and_what_is_none(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"é": [1, 2.5, None]})
    assert read_json(tmp_path / "a.json") == {"é": [1, 2.5, None]}
    (tmp_path / "b.json").write_bytes(b"\xff{")
    with pytest.raises(VosError, match=r"b\.json is not JSON"):
        read_json(tmp_path / "b.json")
    with pytest.raises(VosError, match=r"cannot read .*c\.json: No such file"):
        read_json(tmp_path / "c.json")


def test_a_name_that_is_not_utf8_comes_back_from_json(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    write_json(tmp_path / "a.json", {name: [name, "é"]})
    assert read_json(tmp_path / "a.json") == {name: [name, "é"]}
    write_text(tmp_path / "a.txt", f"é {name}")
    assert (tmp_path / "a.txt").read_bytes() == "é caf".encode() + rb"\udce9.mp4"


def test_deleting_passes_over_what_is_gone_and_names_what_stays(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    (tmp_path / "folder").mkdir()
    remove([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(VosError, match=r"cannot delete .*folder"):
        remove([tmp_path / "folder"])
