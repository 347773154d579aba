"""`vos demo` and `app.py`: what they take, and what they refuse in one line."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vos.cli.demo import demo
from vos.demo import Serving, start
from vos.demo.launch import _auth
from vos.errors import UsageError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("auth", ["anna", ":secret", "anna:"])
def test_a_name_and_a_password(auth):
    with pytest.raises(UsageError, match="NAME:PASSWORD"):
        start(Serving(auth=auth))


def test_wrong_passwords_are_answered_one_per_second(monkeypatch):
    waiting, together, wait = [], [], asyncio.sleep

    async def sleep(seconds):
        if seconds < 1:  # of servers of other tests, whose loops go on
            await wait(seconds)
            return
        waiting.append(seconds)
        together.append(len(waiting))
        await wait(0)
        waiting.pop()

    monkeypatch.setattr(asyncio, "sleep", sleep)
    check = _auth("anna:se:cret")

    async def guesses():
        return await asyncio.gather(*(check("anna", word) for word in ("secret", "se:cret", "")))

    with ThreadPoolExecutor(1) as thread:  # in the main one a browser's loop may be running
        assert thread.submit(asyncio.run, guesses()).result() == [False, True, False]
    assert together == [1, 1], "one after another"


def test_a_model_that_there_is_not_is_refused_at_the_start():
    with pytest.raises(UsageError, match="unknown model 'labb'"):
        start(Serving(models=("labb",), device="cpu"))


def test_a_page_that_closes_leaves_the_uploads_of_another_alone(monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "of another page")
    with start(Serving(models=("lab",), device="cpu")) as page:
        assert os.environ["GRADIO_TEMP_DIR"] == str(page.store.root)
    assert os.environ["GRADIO_TEMP_DIR"] == "of another page"


def test_options_are_what_is_served(monkeypatch):
    served = []
    monkeypatch.setattr("vos.demo.launch", served.append)
    demo(root_path="/vos", max_gigabytes=2.5, max_sessions=3, device="cpu")
    (serving,) = served
    assert (serving.root_path, serving.port) == ("/vos", 0)
    assert (serving.limits.gigabytes, serving.limits.sessions) == (2.5, 3)


def test_the_script_at_the_root_ends_in_one_line():
    command = [sys.executable, str(ROOT / "app.py"), "--auth", "anna", "--device", "cpu"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == "app.py: --auth takes NAME:PASSWORD"
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_named(running, tmp_path):
    port = int(running.url.rstrip("/").rsplit(":", 1)[1])
    code = (
        "from vos.cli.app import main; import sys;"
        f"sys.argv = ['vos', 'demo', '--port', '{port}', '--device', 'cpu', '-q']; main()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 2
    assert "try --port" in ended.stderr and "Traceback" not in ended.stderr


def test_a_server_that_is_told_to_end_removes_the_files_of_its_visitors(tmp_path):
    code = f"""
import importlib, time, types
from pathlib import Path
launch = importlib.import_module("vos.demo.launch")
from vos.demo.store import SessionStore
store = SessionStore(folder=Path({str(tmp_path / "files")!r}))
store.open("a" * 64)
def wait():
    print("serving", flush=True)
    time.sleep(100)
page = types.SimpleNamespace(block_thread=wait, close=lambda verbose: None)
launch.start = lambda serving, quiet: launch.RunningPage(page, store, None)
launch.launch()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None and server.stdout.readline() == b"serving\n"
        assert list((tmp_path / "files").glob("*/sessions/*"))
        server.terminate()
        assert server.wait(60) == 0
    assert not list((tmp_path / "files").iterdir())


def test_the_script_at_the_root_is_a_few_lines():
    lines = (ROOT / "app.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 15


def test_the_page_needs_no_gradio_to_be_imported():
    code = "import vos.demo, sys; print([m for m in ('gradio', 'torch') if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
