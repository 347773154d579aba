"""The record of a run: what is done, what was written, and what may be replaced."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vos.errors import UsageError, VosError
from vos.files import write_text
from vos.runs.folder import RunFolder, check_owned, write_owned
from vos.runs.record import Stamp, record_beside

SETTINGS = {"model": "lab", "sizes": (1, 2)}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_the_last_word_on_an_item_counts(place: Path) -> None:
    run = RunFolder.open(place, SETTINGS)
    run.note("é a", "failed", reason="no video")
    run.note("b", "done", frames=3, worker="host 4")
    again = RunFolder.open(place, SETTINGS)
    assert again.items == run.items
    assert again.is_done("b") and not again.is_done("é a") and not again.is_done("c")
    again.note("é a", "done", frames=1)
    last = RunFolder.open(place, SETTINGS)
    assert last.is_done("é a")
    assert last.items["b"] == {"name": "b", "state": "done", "frames": 3, "worker": "host 4"}
    assert RunFolder.open(place, SETTINGS, overwrite=True).items == {}


def test_a_line_half_written_is_no_line(place: Path) -> None:
    run = RunFolder.open(place, SETTINGS)
    run.note("a", "done")
    with run.record.open("a") as file:
        file.write('{"name": "b", "sta')
    again = RunFolder.open(place, SETTINGS)
    assert list(again.items) == ["a"]
    again.note("c", "done")
    assert list(RunFolder.open(place, SETTINGS).items) == ["a", "c"]


def test_another_run_is_refused(place: Path) -> None:
    RunFolder.open(place, SETTINGS)
    with pytest.raises(UsageError, match=r"another model \(lab, now resnet18\).*`overwrite=True`"):
        RunFolder.open(place, {**SETTINGS, "model": "resnet18"})
    longer = {**SETTINGS, "steps": 9}
    RunFolder.open(place, longer, reconcile=lambda known, _: {**known, "steps": 9})
    RunFolder.open(place, longer)  # which is on record now
    with pytest.raises(UsageError, match="another steps"):
        RunFolder.open(place, SETTINGS)
    (place / "manifest.jsonl").write_text('{"settings": {}}\n')
    with pytest.raises(UsageError, match="older version"):
        RunFolder.open(place, SETTINGS)
    (place / "manifest.jsonl").write_text("shopping\n")
    with pytest.raises(UsageError, match="not the record of a run"):
        RunFolder.open(place, SETTINGS, overwrite=True)


def test_a_run_that_finished_nothing_may_be_started_anew(place: Path) -> None:
    run = RunFolder.open(place, SETTINGS)
    run.write(write_text, place / "a.txt", "ours")
    again = RunFolder.open(place, {"model": "other"}, restart=True)
    assert not (place / "a.txt").exists()
    again.write(write_text, place / "b.txt", "ours")
    (place / "b.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"b\.txt was changed since"):
        RunFolder.open(place, SETTINGS, restart=True)
    (place / "b.txt").write_text("ours")
    again.note("b", "done")
    with pytest.raises(UsageError, match="another model"):
        RunFolder.open(place, SETTINGS, restart=True)


def test_only_files_of_the_record_are_replaced(place: Path) -> None:
    run = RunFolder.open(place, SETTINGS)
    run.write(write_text, place / "a.txt", "ours")
    again = RunFolder.open(place, SETTINGS)
    again.write(write_text, place / "a.txt", "ours again")
    (place / "b.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"b\.txt is there and is not of this run"):
        again.write(write_text, place / "b.txt", "ours")
    (place / "c.txt").symlink_to(place / "nowhere")
    with pytest.raises(UsageError, match=r"c\.txt is there"):
        again.claim([place / "c.txt"])
    (place / "a.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"a\.txt was changed since"):
        RunFolder.open(place, SETTINGS).write(write_text, place / "a.txt", "ours")
    assert (place / "a.txt").read_text() == "mine"


def test_a_copy_of_a_run_is_that_run(place: Path, tmp_path: Path) -> None:
    RunFolder.open(place, SETTINGS).write(write_text, place / "a.txt", "ours")
    copied = tmp_path / "copy"
    shutil.copytree(place, copied, copy_function=shutil.copyfile)
    RunFolder.open(copied, SETTINGS).write(write_text, copied / "a.txt", "new")
    assert (place / "a.txt").read_text() == "ours"


def test_starting_anew_removes_what_the_record_names_and_says_what_it_left(
    place: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunFolder.open(place, SETTINGS)
    for path in (place / "a.txt", place / "deep" / "er" / "b.txt", tmp_path / "beside.txt"):
        run.write(write_text, path, "ours")
    part = RunFolder.open(place / "part", SETTINGS, record=place / "manifests" / "part.jsonl")
    run.part(part.place, part.record)
    part.write(write_text, place / "part" / "c.txt", "ours")
    (place / "notes.txt").write_text("mine")
    (place / "a.txt").write_text("changed, and no longer wanted")
    with caplog.at_level("WARNING", logger="vos"):
        again = RunFolder.open(place, {"model": "other"}, overwrite=True)
    assert sorted(path.name for path in place.iterdir()) == ["manifest.jsonl", "notes.txt"]
    assert "left what this run did not write (notes.txt)" in caplog.text
    # A file beside the results may be what is left of them; it is still of this run.
    assert (tmp_path / "beside.txt").exists() and again.owns(tmp_path / "beside.txt")


def test_a_folder_of_something_else_is_refused_and_hidden_files_are_nothing(place: Path) -> None:
    place.mkdir()
    (place / ".DS_Store").write_bytes(b"x")
    RunFolder.open(place, SETTINGS)
    (place / "manifest.jsonl").unlink()
    (place / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"something else \(notes\.txt\)"):
        RunFolder.open(place, SETTINGS)


def test_a_record_with_another_name_is_copied_before_it_grows(place: Path, tmp_path: Path) -> None:
    RunFolder.open(place, SETTINGS)
    os.link(place / "manifest.jsonl", tmp_path / "kept.jsonl")
    before = (tmp_path / "kept.jsonl").read_bytes()
    RunFolder.open(place, SETTINGS).note("a", "done")
    assert (tmp_path / "kept.jsonl").read_bytes() == before
    (place / "manifest.jsonl").unlink()
    (place / "manifest.jsonl").symlink_to(tmp_path / "kept.jsonl")
    with pytest.raises(UsageError, match="is a link"):
        RunFolder.open(place, SETTINGS)


def test_names_that_are_not_utf8_are_recorded(place: Path) -> None:
    odd = place / os.fsdecode(b"caf\xe9.txt")
    run = RunFolder.open(place, {"video": str(odd)})
    run.write(write_text, odd, "ours")
    RunFolder.open(place, {"video": str(odd)}).write(write_text, odd, "ours again")


def test_a_single_file_has_its_record_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "plot.png"
    write_owned("bench", path, write_text, "ours")
    check_owned("bench", path)
    write_owned("bench", path, write_text, "ours again")
    assert record_beside(path).name == "plot.png.manifest.jsonl"
    path.write_text("mine")
    with pytest.raises(UsageError, match="changed since"):
        check_owned("bench", path)
    (tmp_path / "other.png").write_text("mine")
    with pytest.raises(UsageError, match="is not of this run"):
        check_owned("bench", tmp_path / "other.png")


def test_a_record_that_cannot_be_written_is_one_line(place: Path) -> None:
    run = RunFolder.open(place, SETTINGS)
    run.record.unlink()
    run.record.mkdir()
    with pytest.raises(VosError, match=r"cannot write .*manifest\.jsonl"):
        run.note("a", "done")


def test_what_was_not_written_in_the_end_is_not_owned(place: Path, tmp_path: Path) -> None:
    run = RunFolder.open(place, SETTINGS)
    run.write(write_text, place / "kept.txt", "ours")
    film = tmp_path / "shown.mp4"
    with pytest.raises(KeyboardInterrupt), run.writing(film, place / "kept.txt"):
        raise KeyboardInterrupt
    film.write_text("of the user, who came between")
    again = RunFolder.open(place, SETTINGS)
    with pytest.raises(UsageError, match=r"shown\.mp4 is there and is not of this run"):
        again.claim([film])
    again.write(write_text, place / "kept.txt", "anew")  # as it was before, and so still owned
    assert film.read_text() == "of the user, who came between"


def test_nothing_is_removed_to_start_anew_where_an_output_cannot_be_written(
    place: Path, tmp_path: Path
) -> None:
    film = tmp_path / "shown.mp4"
    run = RunFolder.open(place, SETTINGS)
    for path in (place / "00000.png", film):
        run.write(write_text, path, "hours of work")
    film.write_text("of the user")
    outputs = [place / "00000.png", film]
    for _ in range(2):
        with pytest.raises(UsageError, match=r"shown\.mp4 is there and is not of this run"):
            RunFolder.open(place, SETTINGS, overwrite=True, outputs=outputs)
    assert (place / "00000.png").read_text() == "hours of work"
    RunFolder.open(place, SETTINGS, overwrite=True, outputs=outputs[:1])
    assert not (place / "00000.png").exists() and film.read_text() == "of the user"


@pytest.mark.parametrize(
    "line",
    [
        '{"file": 5}',
        '{"file": "00000.png", "digest": 1}',
        '{"files": null}',
        '{"settings": []}',
        '{"run": 1}',
        '{"name": 3}',
        "[]",
    ],
)
def test_a_damaged_line_is_none_and_owns_nothing(place: Path, line: str) -> None:
    RunFolder.open(place, SETTINGS)
    (place / "00000.png").write_text("of the user")
    with (place / "manifest.jsonl").open("a") as file:
        file.write(line + "\n")
    for overwrite in (False, True):
        run = RunFolder.open(place, SETTINGS, overwrite=overwrite)
        with pytest.raises(UsageError, match="not of this run"):
            run.claim([place / "00000.png"])
    assert (place / "00000.png").read_text() == "of the user"


KILLED = """
import os, signal, sys
from pathlib import Path
from vos.files import write_text
from vos.runs.folder import RunFolder

place, path, moment = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
replace = Path.replace

def killed(self, target):
    if target == path:
        if moment == "after":
            replace(self, target)
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)

run = RunFolder.open(place, {"model": "lab"}, outputs=[path])
Path.replace = killed
run.write(write_text, path, "ours, the second time")
"""


def kill_in_a_write(place: Path, path: Path, moment: str) -> None:
    arguments = [sys.executable, "-c", KILLED, str(place), str(path), moment]
    assert subprocess.run(arguments).returncode == -signal.SIGKILL


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", ["out/00000.png", "shown.mp4"])
def test_a_write_that_was_killed_is_done_again(tmp_path: Path, name: str, moment: str) -> None:
    place, path = tmp_path / "out", tmp_path / name
    RunFolder.open(place, {"model": "lab"}).write(write_text, path, "ours, the first time")
    kill_in_a_write(place, path, moment)
    assert path.read_text() == f"ours, the {'first' if moment == 'before' else 'second'} time"
    again = RunFolder.open(place, {"model": "lab"}, outputs=[path])
    assert [each.name for each in path.parent.glob(".*")] == []  # what was begun is gone
    again.write(write_text, path, "ours, the third time")
    assert path.read_text() == "ours, the third time"


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", ["out/00000.png", "shown.mp4"])
def test_what_comes_after_a_write_that_was_killed_is_not_of_the_run(
    tmp_path: Path, name: str, moment: str
) -> None:
    place, path = tmp_path / "out", tmp_path / name
    kill_in_a_write(place, path, moment)
    path.write_text("of the user")
    with pytest.raises(
        UsageError, match="is not of this run" if moment == "before" else "changed since"
    ):
        RunFolder.open(place, {"model": "lab"}).write(write_text, path, "ours")
    if moment == "before" or name == "shown.mp4":  # the other is a result that someone changed
        RunFolder.open(place, {"model": "lab"}, overwrite=True)
    assert path.read_text() == "of the user"


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_record_that_was_edited_removes_nothing_outside_its_folder(
    place: Path, tmp_path: Path, overwrite: bool
) -> None:
    elsewhere = tmp_path / "elsewhere"
    other = RunFolder.open(elsewhere, SETTINGS)
    other.write(write_text, elsewhere / "x.txt", "of another run")
    for name in ("notes.txt", ".notes.12.txt"):
        (tmp_path / name).write_text("of the user")
    run = RunFolder.open(place, SETTINGS)
    run.write(write_text, place / "a.txt", "ours")
    (place / "linked").symlink_to(elsewhere)
    claims = [
        {"files": "../*.txt"},
        {"files": str(tmp_path / "*")},
        {"files": "linked/*"},
        {"run": "../elsewhere/manifest.jsonl", "place": "../elsewhere"},
        {"run": "../elsewhere/manifest.jsonl", "place": "."},
        {"run": "linked/manifest.jsonl", "place": "linked"},
    ]
    for name in ("../notes.txt", "deep/../../notes.txt", str(tmp_path / "notes.txt")):
        stamp = vars(Stamp.of(tmp_path / "notes.txt"))
        claims += [{"file": name, **stamp}, {"file": name}, {"writing": name}]
    claims += [{"file": name} for name in ("linked/x.txt", "../elsewhere/x.txt", "..")]
    with run.record.open("a") as file:
        file.writelines(json.dumps(claim) + "\n" for claim in claims)
    RunFolder.open(place, SETTINGS if overwrite else {}, overwrite=overwrite, restart=True)
    assert not (place / "a.txt").exists()
    assert (elsewhere / "x.txt").exists() and (elsewhere / "manifest.jsonl").exists()
    assert (tmp_path / "notes.txt").exists() and (tmp_path / ".notes.12.txt").exists()


def test_a_file_outside_is_left_over_when_the_record_of_its_run_is_gone(
    place: Path, tmp_path: Path
) -> None:
    film, other = tmp_path / "shown.mp4", tmp_path / "other"
    RunFolder.open(place, SETTINGS).write(write_text, film, "of the first run")
    with pytest.raises(UsageError, match=r"shown\.mp4 is there and is not of this run"):
        RunFolder.open(other, SETTINGS).write(write_text, film, "of the second run")
    shutil.rmtree(place)
    RunFolder.open(place, SETTINGS)  # another run in the place of the first
    RunFolder.open(other, SETTINGS).write(write_text, film, "of the second run")
    RunFolder.open(other, SETTINGS).write(write_text, film, "of the second run, again")
    shutil.rmtree(other)
    film.write_text("of the user")
    with pytest.raises(UsageError, match=r"shown\.mp4 is there and is not of this run"):
        RunFolder.open(place, SETTINGS, overwrite=True, outputs=[film])
    assert film.read_text() == "of the user"


def test_a_folder_and_its_parts_may_move(place: Path, tmp_path: Path) -> None:
    run = RunFolder.open(place, SETTINGS)
    masks = place / "masks"
    run.part(masks, run.parts / "masks.jsonl")
    part = RunFolder.open(masks, SETTINGS, record=run.parts / "masks.jsonl")
    part.write(write_text, masks / "a.txt", "ours")
    moved = place.rename(tmp_path / "moved")
    record = moved / "manifests" / "masks.jsonl"
    again = RunFolder.open(moved / "masks", SETTINGS, record=record)
    again.write(write_text, moved / "masks" / "a.txt", "ours again")
    RunFolder.open(moved, SETTINGS, overwrite=True)
    assert [path.name for path in moved.iterdir()] == ["manifest.jsonl"]


def test_starting_anew_is_advised_only_where_it_helps(place: Path, tmp_path: Path) -> None:
    film = tmp_path / "shown.mp4"
    run = RunFolder.open(place, SETTINGS)
    for path in (place / "a.txt", film):
        run.write(write_text, path, "ours")
        path.write_text("changed")
    with pytest.raises(UsageError, match=r"a\.txt was changed since.*`overwrite=True`"):
        run.check([place / "a.txt"])
    with pytest.raises(UsageError, match=r"shown\.mp4 was changed since.*another place$"):
        run.check([film])
    for settings in ({}, SETTINGS):  # another run; a file that was changed
        with pytest.raises(UsageError, match=r"another place$"):
            RunFolder.open(place, settings, overwrite=None).check([place / "a.txt"])
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "metrics.json").write_text("of the user")
    with pytest.raises(UsageError, match="another place, or add `overwrite=True` to write beside"):
        RunFolder.open(tmp_path / "b", SETTINGS, outputs=[tmp_path / "b" / "run.json"])
    with pytest.raises(UsageError, match=r"another place$"):
        RunFolder.open(tmp_path / "b", SETTINGS, outputs=[tmp_path / "b" / "metrics.json"])
    with pytest.raises(UsageError, match=r"metrics\.json is there"):
        RunFolder.open(
            tmp_path / "b", SETTINGS, outputs=[tmp_path / "b" / "metrics.json"], overwrite=True
        )
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["metrics.json"]
