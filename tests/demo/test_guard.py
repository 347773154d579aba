"""What strangers may not do: read files, make the server fetch addresses, use others' sessions."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import httpx
import pytest

gradio_client = pytest.importorskip("gradio_client", reason="needs Gradio")


@pytest.fixture
def web(running):
    with httpx.Client(base_url=running.url, timeout=60, trust_env=False) as client:
        yield client


def call(web, running, handler, *data):
    """Call a handler as a browser does; the events it answers with."""
    functions = running.page.fns.values()
    number = next(f._id for f in functions if getattr(f.fn, "__name__", "") == handler)
    session = "stranger"
    web.post(
        "gradio_api/queue/join",
        json={"data": list(data), "fn_index": number, "session_hash": session},
    ).raise_for_status()
    events = []
    with web.stream("GET", f"gradio_api/queue/data?session_hash={session}") as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                events.append(json.loads(line[5:]))
                if events[-1]["msg"] in ("process_completed", "close_stream"):
                    break
    return events[-1]


def file(path: str) -> dict:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "x.mp4"}


FOREIGN = [
    "/etc/passwd",
    "../../../../etc/passwd",
    "{root}/../../etc/passwd",
    "http://127.0.0.1:1/secret.mp4",
    "https://example.org/video.mp4",
    "file:///etc/passwd",
    "//example.org/video.mp4",
]


@pytest.mark.parametrize("path", FOREIGN)
@pytest.mark.parametrize("handler", ["segment", "open_upload"])
def test_only_uploaded_files_are_opened(web, running, path, handler, monkeypatch):
    fetched = []
    monkeypatch.setattr("gradio.processing_utils.save_url_to_cache", fetched.append)
    named = file(path.format(root=running.store.root))
    arguments = {
        "segment": (named, named, 0, "lab", "default", "png", named),
        "open_upload": (None, named),
    }
    if handler == "open_upload":
        named = {"video": named, **named}
    answer = call(web, running, handler, *arguments[handler])
    assert answer["msg"] == "process_completed" and not answer["success"]
    assert "root:" not in json.dumps(answer)
    assert not fetched, "an address was looked up"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../etc/passwd", "{root}/../../../etc/passwd", "{code}"]
)
def test_files_of_the_server_are_not_served(web, running, path):
    import vos

    path = path.format(root=running.store.root, code=Path(vos.__file__))
    answer = web.get(f"gradio_api/file={path}")
    assert answer.status_code in (403, 404)


def test_another_token_is_another_session(web, running, clip):
    mine = running.store.open("1" * 64)
    mine.open(clip.path)
    answer = call(web, running, "move", None, 1)
    assert "Reload the page" in json.dumps(answer), "a handler without a token has no session"
    assert mine.folder.name not in json.dumps(answer)


def test_an_upload_that_has_no_room_does_not_stay(running, clip, monkeypatch):
    token = "3" * 64
    running.store.open(token)
    upload = running.store.root / "uploaded" / "a.mp4"
    upload.parent.mkdir(exist_ok=True)
    shutil.copyfile(clip.path, upload)
    full = dataclasses.replace(running.store.limits, gigabytes=0)
    monkeypatch.setattr(running.store, "limits", full)
    functions = running.page.fns.values()
    open_upload = next(f.fn for f in functions if getattr(f.fn, "__name__", "") == "open_upload")
    assert "The disk of this server is full" in str(open_upload(token, str(upload)).values())
    assert not upload.exists() and not running.store.get(token).has_clip


def test_an_empty_upload_is_named(running):
    token = "4" * 64
    running.store.open(token)
    upload = running.store.root / "uploaded" / "empty.mp4"
    upload.parent.mkdir(exist_ok=True)
    upload.touch()
    functions = running.page.fns.values()
    open_upload = next(f.fn for f in functions if getattr(f.fn, "__name__", "") == "open_upload")
    assert "empty.mp4 is empty" in str(open_upload(token, str(upload)).values())


def test_what_a_page_without_a_session_was_told_stays(web, running):
    answer = call(web, running, "tell", None, "lab", "default")
    assert answer["success"] and "Reload the page" not in json.dumps(answer)


def test_the_endpoint_is_the_only_public_one(running):
    info = running.page.get_api_info()
    assert list(info["named_endpoints"]) == ["/segment"] and not info["unnamed_endpoints"]


def test_only_this_machine_is_served(running):
    assert running.url.startswith("http://127.0.0.1:")
