"""Sessions are apart from one another, and end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

from vos.demo.limits import Limits
from vos.demo.session import Session
from vos.demo.store import NoPlaceError, SessionStore
from vos.errors import VosError

ANNA, BERT = "a" * 64, "b" * 64


@pytest.fixture
def store(tmp_path):
    store = SessionStore(
        Limits(sessions=2, idle_seconds=50, closed_seconds=5), folder=tmp_path / "s"
    )
    yield store
    store.close()


def test_each_token_has_its_own_folder(store):
    anna, bert = store.open(ANNA), store.open(BERT)
    assert anna.folder != bert.folder
    assert store.open(ANNA) is anna and store.get(BERT) is bert
    assert ANNA not in str(anna.folder), "who sees a path must not learn the token"


@pytest.mark.parametrize("token", ["", "../../etc", "a" * 8, "A" * 64, "a" * 500, None, 7])
def test_what_is_no_token(store, token):
    with pytest.raises(VosError, match="Reload"):
        store.open(token)


def test_too_many_visitors(store):
    store.open(ANNA), store.open(BERT)
    with pytest.raises(VosError, match="Too many people"):
        store.open("c" * 64)


def test_files_of_all_visitors_fill_the_disk_together(tmp_path):
    store = SessionStore(Limits(gigabytes=1e-5), folder=tmp_path / "s")  # 10,000 bytes
    anna = store.open(ANNA).folder / "a.mp4"
    anna.parent.mkdir(parents=True, exist_ok=True)
    anna.write_bytes(bytes(4000))
    (anna.parent / "b.mp4").hardlink_to(anna)
    bert = store.open(BERT).folder / "a.mp4"
    bert.parent.mkdir(parents=True, exist_ok=True)
    bert.write_bytes(bytes(4000))
    store.check_room()  # 8,000: a link is no file more
    bert.write_bytes(bytes(9000))
    with pytest.raises(VosError, match="disk of this server is full"):
        store.check_room()
    store.end(BERT)
    store.check_room()
    store.close()


def test_who_left_without_a_video_gives_up_the_place_at_once(tmp_path):
    store = SessionStore(Limits(sessions=1), folder=tmp_path / "s")
    anna = store.open(ANNA, view="anna")
    with pytest.raises(NoPlaceError):
        store.open(BERT)
    store.leave("anna")
    store.open(BERT)
    assert not anna.folder.exists()
    store.close()


def test_who_left_gives_up_the_place_that_others_want(monkeypatch, tmp_path):
    monkeypatch.setattr(Session, "has_clip", True)
    store = SessionStore(Limits(sessions=2, closed_seconds=300), folder=tmp_path / "s")
    anna, bert = store.open(ANNA, view="anna"), store.open(BERT, view="bert")
    start = time.monotonic()
    for view, at in (("bert", 1), ("anna", 2)):
        monkeypatch.setattr(time, "monotonic", lambda at=at: start + at)
        store.leave(view)
    with pytest.raises(VosError, match="Too many people"):
        store.open("c" * 64)  # they may be loading their pages anew
    monkeypatch.setattr(time, "monotonic", lambda: start + 20)
    store.open("c" * 64)
    assert store.get(ANNA) is anna and not bert.folder.exists(), "the longest gone goes first"
    anna.busy = True
    with pytest.raises(VosError, match="Too many people"):
        store.open("d" * 64)  # a run goes on without its page
    anna.busy = False
    store.open(ANNA, view="anna again")
    with pytest.raises(VosError, match="Too many people"):
        store.open("d" * 64)
    store.close()


def test_idle_sessions_end_with_their_files(store, monkeypatch):
    anna = store.open(ANNA)
    (anna.folder / "file").write_text("x")
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 51)
    store.sweep()
    assert not anna.folder.exists() and len(store) == 0
    with pytest.raises(VosError, match="has ended"):
        store.get(ANNA)


def test_a_running_propagation_keeps_a_session(store, monkeypatch):
    anna = store.open(ANNA)
    anna.busy = True
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 51)
    store.sweep()
    assert len(store) == 1
    anna.busy = False


def test_a_reload_keeps_the_work_and_leaving_ends_it(store, monkeypatch):
    anna = store.open(ANNA, view="view 1")
    store.open(ANNA, view="view 2")  # the new view comes before the old one is gone
    store.leave("view 1")
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 6)
    store.sweep()
    assert store.get(ANNA) is anna
    store.leave("view 2")
    monkeypatch.setattr(time, "monotonic", lambda: now + 12)
    store.sweep()
    assert len(store) == 0 and not anna.folder.exists()


def test_what_a_killed_server_left_is_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed, alive, elsewhere = SessionStore(), SessionStore(), SessionStore()
    killed.open(ANNA)
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True
    )
    for store in (killed, elsewhere):
        begun = f"{int(ended.stdout)} {time.time()} {store.root.name}"
        (store.root / "server").write_text(begun)
    for store in (killed, alive):
        os.utime(store.root / "server", (0, 0))
    (tmp_path / "vos-demo-notes").mkdir()
    rescued = tmp_path / "vos-demo-rescued"
    shutil.copytree(killed.root, rescued, copy_function=shutil.copy2)
    new = SessionStore()
    assert not killed.root.exists() and alive.root.exists()
    assert elsewhere.root.exists(), "its server spoke lately, if not on this machine"
    assert (tmp_path / "vos-demo-notes").exists(), "no server made it"
    assert (rescued / "sessions").exists(), "a copy is none of ours"
    for store in (killed, alive, elsewhere, new):
        store.close()


def test_a_folder_that_was_given_keeps_what_others_put_there(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    store = SessionStore(folder=tmp_path)
    store.open(ANNA)
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_the_end_of_the_server_removes_everything(store):
    store.open(ANNA)
    store.close()
    assert not store.root.exists()
